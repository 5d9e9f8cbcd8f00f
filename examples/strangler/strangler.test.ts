/** The measurement in small: a second takes a fiftieth of one. */
import { memory } from 'eventspine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gateway, startGateway } from './gateway.ts';
import { type ModelEndpoint, startModelEndpoint } from './model-endpoint.ts';
import { ask, questionsOf } from './users.ts';
import { startWeb, type Web } from './web.ts';

const users = 12;
const unitMs = 20;

describe('the strangled route of the example', () => {
  let model: ModelEndpoint;
  let web: Web;
  let gateway: Gateway;

  beforeAll(async () => {
    model = await startModelEndpoint();
    web = await startWeb(model.url, memory(), 2 * unitMs);
    gateway = await startGateway(web.url, 30 * unitMs);
  });

  afterAll(async () => {
    await gateway.close();
    await web.close();
    await model.close();
  });

  it('is answered 504 before, where the work takes longer than the gateway waits, and is paid for all the same', async () => {
    const met = await ask(gateway.url, questionsOf(users, 1, unitMs), unitMs);
    expect(met.statuses['504']).toBeGreaterThan(0);
    expect(met.unanswered).toBeGreaterThan(0);
    expect(web.report()).toMatchObject({ event: { total: 0 } });
    expect(web.report().old).toBeGreaterThan(met.answeredMs.length + met.unanswered);
    // Nobody waits for the last of them any more, and they go on and are paid for.
    await expect.poll(() => model.answered(), { timeout: 10_000 }).toBe(3 * web.report().old);
  });

  it('is answered in time after, and every question once', async () => {
    const paid = model.answered();
    web.turn('declared');
    // A machine with much else to do may take as long for an answer of 202 as this gateway waits; `measure.ts` has real seconds.
    const patient = await startGateway(web.url, 15_000);
    const met = await ask(patient.url, questionsOf(users, 1, unitMs), unitMs);
    await patient.close();
    expect(met.statuses['504']).toBeUndefined();
    expect(met.statuses['202']).toBeGreaterThanOrEqual(users);
    expect([met.answeredMs.length, met.unanswered]).toEqual([users, 0]);
    expect(model.answered() - paid).toBe(3 * users);
    expect(web.report().event).toMatchObject({ total: users, accepted: users, repeated: 0, failed: 0 });
  });

  it('says the same both ways', async () => {
    const before = web.report().mirror.total;
    web.turn({ async: 0, mirror: 1 });
    const questions = [1, 2, 3].map((number) => [{ text: `another ${number}`, ms: 30 }]);
    await ask(web.url, questions, unitMs);
    await expect.poll(() => web.report().mirror.same, { timeout: 10_000 }).toBe(before + 3);
    expect(web.report().mirror).toMatchObject({ different: 0, failed: 0 });
    expect(web.report().differences).toEqual([]);
  });
});
