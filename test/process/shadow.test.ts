/** A worker that is killed in the midst of a call of a shadow: the run goes on as if there were none, and pays no more. */
import { afterEach, expect, it } from 'vitest';
import type { ModelView } from '../../src/protocol/http.js';
import { startModelEndpoint } from '../support/model-endpoint/endpoint.js';
import { AgentInstallation } from './support/agent-installation.js';
import { endAll } from './support/processes.js';

afterEach(endAll);

it('SIGKILL in the midst of a call of a shadow changes nothing of the run, and the call is not made again', async () => {
  const says = (text: string) => ({ conversations: [{ match: '#', turns: [{ text }] }] });
  const primary = await startModelEndpoint(says('It is spam.'));
  const shadow = await startModelEndpoint({
    ...says('It is not spam.'),
    faults: [{ fault: { kind: 'hang', begun: true }, match: 'first' }],
  });
  const environment = { MODEL_PRIMARY: primary.url, MODEL_SHADOW: shadow.url };
  const installation = await AgentInstallation.begin(environment, 'shadow-worker.mjs');
  const shadowView = async (): Promise<ModelView['shadow']> =>
    ((await installation.get('/v1/models/writer')) as ModelView).shadow;
  try {
    const id = await installation.start('write', { tag: 'one' });
    await expect.poll(() => shadow.books().inferences.length, { timeout: 10_000 }).toBe(1);
    expect(await shadowView()).toMatchObject({ rule: { version: 'v2' }, underWay: 1 });
    await installation.killWorker();
    await installation.post(`/v1/runs/${id}/signals/go`, {});
    const [view] = await installation.ended([id], 30_000);
    expect(view).toMatchObject({ state: 'succeeded', spend: { calls: 2, ambiguous: 0 } });
    expect(await installation.get(`/v1/runs/${id}/result`)).toEqual(['It is spam.', 'It is spam.']);
    expect(primary.books().inferences.map(({ answered }) => answered)).toEqual([true, true]);
    await expect.poll(async () => (await shadowView())?.evidence[0]?.answers, { timeout: 10_000 }).toBe(1);
    // The call that died holds its place until it counts as lost; it is not made again.
    expect(await shadowView()).toMatchObject({ underWay: 1, evidence: [{ exact: { n: 1, mean: 0 }, failures: {} }] });
    expect(shadow.books().inferences).toHaveLength(2);
    const types = (await installation.history(id)).map(({ type }) => type);
    expect(types.filter((type) => type.startsWith('inference.'))).toEqual([
      'inference.requested',
      'inference.completed',
      'inference.requested',
      'inference.completed',
    ]);
  } finally {
    await installation.end();
    await Promise.all([primary.close(), shadow.close()]);
  }
});
