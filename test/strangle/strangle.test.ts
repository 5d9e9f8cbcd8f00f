/** Strangled routes over a real spine. */
import { afterEach, describe, expect, it } from 'vitest';
import { createSpine, defineApp, memory, signal, workflow, type Spine } from '../../src/spine/index.js';
import {
  orderStrangled,
  readOrders,
  strangle,
  strangleReports,
  strangleTopics,
  type StrangleOptions,
  type StrangleReported,
} from '../../src/strangle/index.js';
import { until } from '../process/support/until.js';
import { ends, forms, listen, loud, posted, textOf, type Route } from './routes.js';

interface Input {
  readonly text: string;
  /** Until the signal comes. */
  readonly hold?: boolean;
  readonly fail?: boolean;
}

const sent: string[] = [];
const go = signal('go');

const speak = workflow('speak', {}, async (ctx, input) => {
  const { text, hold = false, fail = false } = input as Input;
  if (hold) await ctx.waitFor(go);
  if (fail) throw new Error('a secret word of the inside');
  if (text === 'send') await ctx.step('send', () => sent.push(ctx.run.id), { effect: 'external' });
  return { text: text.toUpperCase() };
});
const app = defineApp({ workflows: [speak], topics: [...strangleTopics] });
type App = typeof app;

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  sent.length = 0;
});

function spineOf(): Spine<App> {
  const spine = createSpine(app, { store: memory() });
  ends.push(() => spine.close());
  return spine;
}

/** Lets all runs that hold go on. */
async function release(spine: Spine<App>): Promise<void> {
  for await (const { id, state } of spine.runs.list()) if (state !== 'succeeded') await spine.signal(id, go);
}

type Options = Partial<StrangleOptions<App, 'speak'>>;

/** Counts what the old handler was asked. */
function strangled(options: Options = {}, spine: Spine<App> = spineOf()) {
  let asked = 0;
  const faults: unknown[] = [];
  const old = async (request: Request): Promise<Response> => {
    asked += 1;
    return Response.json(loud((await request.json()) as { text: string }));
  };
  const route = strangle(old, {
    spine,
    workflow: 'speak',
    input: ({ body }) => body,
    within: '15s',
    log: ({ error }) => faults.push(error),
    ...options,
  });
  ends.unshift(() => route.close());
  const post = (
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
    signal?: AbortSignal,
  ): Promise<Response> =>
    route(
      new Request('http://app.test/loud', { ...posted(body, headers), ...(signal === undefined ? {} : { signal }) }),
    );
  return { route, spine, post, faults, old: () => asked };
}

const user: Options['user'] = (request) => request.headers.get('x-user');

describe.each(forms)('a strangled route of $name', ({ serve }) => {
  const options = {
    workflow: 'speak' as const,
    input: ({ body }: { body: unknown }) => body,
    user,
    status: '/loud/:run',
  };
  const ask = async (route: Route, body: unknown) => {
    const answer = await route('/loud?x=1', posted(body, { 'x-user': 'ada' }));
    return [answer.status, (await answer.json()) as unknown] as const;
  };

  it('does what the old one did where nothing else is said', async () => {
    const spine = spineOf();
    const route = await serve((handler) => strangle(handler, { ...options, spine }));
    expect(await ask(route, { text: 'hello' })).toEqual([200, { text: 'HELLO' }]);
  });

  it('answers with the result of a run that is quick', async () => {
    const spine = spineOf();
    const route = await serve((handler) =>
      strangle(handler, {
        ...options,
        spine,
        async: true,
        within: '15s',
        output: (result, { query, path }) => ({ result, path, x: query.get('x') }),
      }),
    );
    expect(await ask(route, { text: 'hello' })).toEqual([200, { result: { text: 'HELLO' }, path: '/loud', x: '1' }]);
  });

  it('answers 202 for one that is slow, and the same later where it says', async () => {
    const spine = spineOf();
    const route = await serve((handler) => strangle(handler, { ...options, spine, async: true, within: 60 }));
    const first = await route('/loud', posted({ text: 'hello', hold: true }, { 'x-user': 'ada' }));
    const location = first.headers.get('location') ?? '';
    expect([first.status, first.headers.get('retry-after'), location.startsWith('/loud/run_')]).toEqual([
      202,
      '1',
      true,
    ]);
    expect(await first.json()).toMatchObject({
      links: { self: location },
      readToken: { token: expect.stringMatching(/^esr1\./) as string },
    });
    const again = await route(location, { headers: { 'x-user': 'ada' } });
    expect([again.status, again.headers.get('location')]).toEqual([202, location]);
    expect((await route(location, { headers: { 'x-user': 'eve' } })).status).toBe(404);
    await release(spine);
    const done = await until('the run is done', async () => {
      const answer = await route(location, { headers: { 'x-user': 'ada' } });
      return answer.status === 200 ? answer : null;
    });
    expect(await done.json()).toEqual({ text: 'HELLO' });
  });

  it('mirrors with the old handler none the wiser', async () => {
    const spine = spineOf();
    let report = () => ({}) as unknown;
    const route = await serve((handler) => {
      const made = strangle(handler, { ...options, spine, mirror: true });
      report = () => made.report().mirror;
      return made;
    });
    expect(await ask(route, { text: 'hello' })).toEqual([200, { text: 'HELLO' }]);
    expect(await ask(route, { text: 'x'.repeat(300_000) })).toEqual([200, { text: 'X'.repeat(300_000) }]);
    await until('both are compared', () => Promise.resolve((report() as { same: number }).same === 2 ? true : null));
    expect(report()).toMatchObject({ total: 2, same: 2, different: 0 });
  });
});

describe('a strangled route', () => {
  it('takes a share by key, always the same one', async () => {
    const { post, route } = strangled({ async: 0.3, key: ({ headers }) => headers.get('x-user') });
    const ways = new Map<string, number>();
    for (let i = 0; i < 60; i++) {
      const before = route.report().event.total;
      await post({ text: 'a' }, { 'x-user': `user-${i % 30}` });
      const way = route.report().event.total - before;
      expect(ways.get(`user-${i % 30}`) ?? way).toBe(way);
      ways.set(`user-${i % 30}`, way);
    }
    const taken = [...ways.values()].filter((way) => way === 1).length;
    expect(taken).toBeGreaterThan(2);
    expect(taken).toBeLessThan(18);
  });

  it('does a request of one idempotency key once, for each user', async () => {
    const { post, route, spine } = strangled({ async: true, user });
    const keyed = (who: string, body: unknown = { text: 'once' }) =>
      post(body, { 'idempotency-key': '"k1"', 'x-user': who });
    for (const who of ['ada', 'ada', 'eve']) expect(await (await keyed(who)).json()).toEqual({ text: 'ONCE' });
    expect((await spine.runs.list().page()).items.length).toBe(2);
    expect(route.report().event).toMatchObject({ total: 3, repeated: 1 });
    // The key is the same without its quotes.
    await post({ text: 'once' }, { 'idempotency-key': 'k1', 'x-user': 'ada' });
    expect(route.report().event).toMatchObject({ total: 4, repeated: 2 });
    expect((await keyed('ada', { text: 'other' })).status).toBe(200);
    // The spine refuses another body under the key, so the old handler has it, as it had before.
    expect(route.report().fallback.fellBack).toBe(1);
  });

  it('leaves whom nobody knows to the old handler, which says what they get', async () => {
    const { post, route, spine } = strangled({ async: 0.5, mirror: true, user });
    for (let i = 0; i < 6; i++) await post({ text: 'a' });
    await route.close();
    expect((await spine.runs.list().page()).items).toEqual([]);
    expect(route.report()).toMatchObject({
      old: 6,
      event: { total: 0 },
      mirror: { total: 0 },
      fallback: { faults: 0 },
    });
  });

  it('answers a failed run with a status by its class, and with none of its words', async () => {
    const { post, old } = strangled({ async: true });
    const answer = await post({ text: 'a', fail: true });
    const text = await answer.text();
    expect([answer.status, answer.headers.get('content-type')]).toEqual([500, 'application/problem+json']);
    expect(JSON.parse(text)).toMatchObject({ code: 'RUN_FAILED', status: 500 });
    expect(text).not.toContain('secret');
    expect(old()).toBe(0);
    const own = strangled({ async: true, failed: (error) => Response.json({ error: error.code }, { status: 418 }) });
    const shaped = await own.post({ text: 'a', fail: true });
    expect([shaped.status, await shaped.json()]).toEqual([418, { error: 'RUN_FAILED' }]);
  });

  it('lets the old handler answer where the event way refuses, and says so where it may not', async () => {
    const closed = spineOf();
    await closed.close();
    const falling = strangled({ async: true }, closed);
    expect(await (await falling.post({ text: 'a' })).json()).toEqual({ text: 'A' });
    expect(falling.route.report()).toMatchObject({ old: 1, event: { total: 0 }, fallback: { fellBack: 1 } });
    const strict = strangled({ async: true, fallback: 'never' }, closed);
    const refused = await strict.post({ text: 'a' });
    expect([
      refused.status,
      ((await refused.json()) as { code: string }).code,
      refused.headers.get('retry-after'),
    ]).toEqual([503, 'SHUTTING_DOWN', '5']);
    // After three of them it is not even asked.
    for (let i = 0; i < 3; i++) await strict.post({ text: 'a' });
    expect(strict.route.report().fallback).toMatchObject({ refused: 4, paused: 1 });
    expect(strict.old()).toBe(0);
  });

  it('does not begin a request twice where it is not known whether it was begun', async () => {
    const spine = spineOf();
    const slow = {
      ...spine,
      start: async (...args: Parameters<typeof spine.start>) => {
        await new Promise((resolve) => setTimeout(resolve, 120));
        return await spine.start(...args);
      },
    } as Spine<App>;
    const states = async () => (await spine.runs.list().page()).items.map(({ state }) => state);
    const certain = strangled({ async: true, startWithin: 20 }, slow);
    const answer = await certain.post({ text: 'a', hold: true });
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([503, 'STRANGLE_UNDECIDED']);
    expect(certain.old()).toBe(0);
    // Nobody would ever ask for this run.
    await until('it is cancelled', async () => ((await states()).join() === 'cancelled' ? true : null));
    const keyed = await certain.post({ text: 'b' }, { 'idempotency-key': 'k' });
    expect(keyed.status).toBe(503);
    await until('it is done', async () => ((await states()).includes('succeeded') ? true : null));
    const always = strangled({ async: true, startWithin: 20, fallback: 'always' }, slow);
    expect(await (await always.post({ text: 'c', hold: true })).json()).toEqual({ text: 'C' });
    await until('it is cancelled', async () => ((await states())[0] === 'cancelled' ? true : null));
  });

  it('leaves to the old handler what functions of the options throw at, and what is too large', async () => {
    const thrower = (): never => {
      throw new Error('a fault of the options');
    };
    for (const options of [
      { async: thrower },
      { async: true, key: thrower },
      { async: true, input: thrower },
      { async: true, user: thrower },
    ]) {
      const { post, route, faults } = strangled(options as Options);
      expect(await (await post({ text: 'a' })).json()).toEqual({ text: 'A' });
      expect(route.report().fallback.faults).toBe(1);
      expect(faults).toEqual([new Error('a fault of the options')]);
    }
    const { post, route } = strangled({ async: true, bodyBytesMax: 100 });
    expect(await (await post({ text: 'a'.repeat(200) })).json()).toEqual({ text: 'A'.repeat(200) });
    expect(route.report().fallback.unreadable).toBe(1);
  });

  it('does not fall back where the work is done and only its answer is not', async () => {
    const { post, old } = strangled({
      async: true,
      output: () => {
        throw new Error('no answer');
      },
    });
    await expect(post({ text: 'a' })).rejects.toThrow('no answer');
    expect(old()).toBe(0);
  });

  it('goes the old way at once when it is told to, and back', async () => {
    const { post, route, old } = strangled({ async: true });
    await post({ text: 'a' });
    route.turn('old');
    await post({ text: 'a' });
    expect([old(), route.report().event.total]).toEqual([1, 1]);
    route.turn({ async: 1 });
    await post({ text: 'a' });
    expect([old(), route.report().event.total]).toEqual([1, 2]);
    expect(() => route.turn({ async: 2 })).toThrow('shares from 0 to 1');
  });

  it('is told by the topic, in all processes, and tells what it has done', async () => {
    const spine = spineOf();
    await orderStrangled(spine, 'speak', 'old');
    const [one, other] = [0, 1].map(() => strangled({ async: true, topics: { every: 100 } }, spine));
    // Nothing is begun before it is known what was ordered.
    await one?.post({ text: 'a' });
    expect([one?.old(), one?.route.report().event.total]).toEqual([1, 0]);
    await other?.post({ text: 'a' });
    await orderStrangled(spine, 'speak', { async: 1 }, { reason: 'the night is over' });
    expect(await readOrders(spine)).toEqual([{ name: 'speak', async: 1, mirror: 0, reason: 'the night is over' }]);
    for (const each of [one, other])
      await until('it goes the event way', async () => {
        await each?.post({ text: 'a' });
        return each?.route.report().event.total === 1 ? true : null;
      });
    await Promise.all([one?.route.close(), other?.route.close()]);
    const parts: StrangleReported[] = [];
    for await (const { event } of spine.topics.events(strangleReports.name)) parts.push(event.data as StrangleReported);
    expect(new Set(parts.map(({ process }) => process)).size).toBe(2);
    expect(parts.reduce((sum, { tallies }) => sum + (tallies.event ?? 0), 0)).toBe(2);
    expect(parts.at(-1)).toMatchObject({ name: 'speak', order: { async: 1, mirror: 0 } });
  });

  it('goes on as declared where nobody declares the topics, and complains', async () => {
    const bare = createSpine(defineApp({ workflows: [speak] }), { store: memory() });
    ends.push(() => bare.close());
    const { post, route } = strangled({ async: true, topics: true }, bare as unknown as Spine<App>);
    await until('it goes the event way', async () => {
      await post({ text: 'a' });
      return route.report().event.total > 0 ? true : null;
    });
  });

  it('reports where answers differ: the place, not the value', async () => {
    const { post, route } = strangled({
      mirror: true,
      output: (result) => ({ ...(result as object), id: 7, list: [1, 2] }),
      compare: { ignore: ['list'] },
    });
    for (let i = 0; i < 3; i++) await post({ text: 'secret' });
    await route.close();
    const { mirror, differences, durations } = route.report();
    expect(mirror).toMatchObject({ total: 3, different: 3, same: 0 });
    expect(differences).toEqual([
      { path: 'body.id', kind: 'added', count: 3, run: expect.stringMatching(/^run_/) as string },
    ]);
    expect(JSON.stringify(route.report())).not.toMatch(/secret/i);
    expect([durations.old.count, durations.mirror.count]).toEqual([3, 3]);
  });

  it('mirrors no more than it may, and what it mirrors has no effects', async () => {
    const { post, route, spine } = strangled({ mirror: true, mirrors: { most: 1, within: '15s' } });
    await Promise.all([1, 2, 3].map(() => post({ text: 'a', hold: true })));
    await until('one is mirrored', async () => ((await spine.runs.list().page()).items.length === 1 ? true : null));
    await release(spine);
    await route.close();
    expect(route.report().mirror).toMatchObject({ total: 1, same: 1, skipped: 2 });
    await post({ text: 'send' });
    await route.close();
    expect(route.report().mirror).toMatchObject({ total: 2, withheld: 1 });
    expect(sent).toEqual([]);
    const taken = strangled({ async: true });
    await taken.post({ text: 'send' });
    expect(sent.length).toBe(1);
  });

  it('answers 202 at once to whom it prefers to be told so', async () => {
    const { post, spine } = strangled({ async: true, within: '15s' });
    for (const prefer of ['respond-async', 'handling=lenient, wait=0'])
      expect((await post({ text: 'a', hold: true }, { prefer })).status).toBe(202);
    await release(spine);
  });

  it('is asked again at any process, and says no more of a run than its own route would', async () => {
    const spine = spineOf();
    const options: Options = { async: true, within: 1, user, status: '/loud/:run' };
    const [one, other, foreign] = ['speak', 'speak', 'other'].map((name) => strangled({ ...options, name }, spine));
    const first = await one?.post({ text: 'a', hold: true }, { 'x-user': 'ada' });
    const location = first?.headers.get('location') ?? '';
    const ask = async (route: ReturnType<typeof strangled> | undefined, headers: Record<string, string>) =>
      await route?.route.status(new Request(`http://app.test${location}`, { headers }));
    // A request that asks again is not held, unless it wants to be.
    expect((await ask(other, { 'x-user': 'ada' }))?.status).toBe(202);
    await release(spine);
    await spine.run(location.split('/')[2] ?? '').result();
    expect(await (await ask(other, { 'x-user': 'ada' }))?.json()).toEqual({ text: 'A' });
    expect((await ask(foreign, { 'x-user': 'ada' }))?.status).toBe(404);
    expect((await ask(other, {}))?.status).toBe(401);
    const patient = strangled({ ...options, within: '15s' }, spine);
    const second = await one?.post({ text: 'b', hold: true }, { 'x-user': 'ada' });
    const held = new Request(`http://app.test${second?.headers.get('location') ?? ''}`, {
      headers: { 'x-user': 'ada', prefer: 'respond-async, wait=15' },
    });
    const answer = patient.route.status(held);
    await release(spine);
    expect(await (await answer).json()).toEqual({ text: 'B' });
  });

  it('goes in the name of whoever asks where it is told to', async () => {
    const spine = spineOf();
    const as: Options['as'] = ({ headers }) => spine.as({ tenant: headers.get('x-tenant') ?? 'none', user: 'ada' });
    const { post } = strangled({ async: true, as }, spine);
    await post({ text: 'a' }, { 'x-tenant': 'acme' });
    const runs = async (tenant: string) => (await spine.as({ tenant, user: 'x' }).runs.list().page()).items.length;
    expect([await runs('acme'), await runs('default')]).toEqual([1, 0]);
  });

  it('cancels a mirrored run that takes too long', async () => {
    const { post, route, spine } = strangled({ mirror: true, mirrors: { within: 50 } });
    await post({ text: 'a', hold: true });
    await route.close();
    expect(route.report().mirror).toMatchObject({ total: 1, late: 1 });
    await until('it is cancelled', async () =>
      (await spine.runs.list().page()).items[0]?.state === 'cancelled' ? true : null,
    );
  });

  it('lets go of a caller that is gone, and the run goes on', async () => {
    const { post, route, spine } = strangled({ async: true, within: '20s' });
    const controller = new AbortController();
    const answer = post({ text: 'a', hold: true }, {}, controller.signal);
    await until('it is begun', () => Promise.resolve(route.report().event.total === 1 ? true : null));
    controller.abort();
    expect((await answer).status).toBe(202);
    await release(spine);
    await until('it is done', async () =>
      (await spine.runs.list().page()).items[0]?.state === 'succeeded' ? true : null,
    );
  });

  it('hands errors of the old handler to its framework', async () => {
    const express = forms.find(({ name }) => name.startsWith('Express'));
    const spine = spineOf();
    const route = await express?.serve((handler) =>
      strangle(handler, { spine, workflow: 'speak', input: ({ body }) => body, mirror: true, log: () => undefined }),
    );
    for (const text of ['throw', 'next']) {
      const answer = await route?.('/loud', posted({ text }));
      expect([answer?.status, await answer?.text()]).toEqual([
        500,
        expect.stringContaining('by the old handler') as string,
      ]);
    }
  });

  it('leaves a body to the old handler as it came, in many pieces and none', async () => {
    const spine = spineOf();
    const route = await listen(
      strangle(
        async (request, response) => {
          const text = await textOf(request);
          response.end(`${text.length} ${text.at(-1) ?? ''}`);
        },
        {
          spine,
          workflow: 'speak',
          input: ({ body }) => ({ text: String(body) }),
          mirror: true,
          bodyBytesMax: 50_000,
          log: () => undefined,
        },
      ),
    );
    const pieces = (count: number): ReadableStream<Uint8Array> => {
      let left = count;
      return new ReadableStream({
        async pull(controller) {
          if (left-- === 0) return controller.close();
          await new Promise((resolve) => setTimeout(resolve, 5));
          controller.enqueue(new Uint8Array(10_000).fill(97 + (left % 26)));
        },
      });
    };
    const ask = async (body: BodyInit | null) => {
      const init: RequestInit & { duplex: 'half' } = { method: 'POST', body, duplex: 'half' };
      return await (await route('/', init)).text();
    };
    expect(await ask(pieces(3))).toBe('30000 a');
    expect(await ask(pieces(9))).toBe('90000 a');
    expect(await ask('short')).toBe('5 t');
    expect(await ask(null)).toBe('0 ');
    expect(await ask(pieces(0))).toBe('0 ');
  });

  it('names all faults of its options', () => {
    const wrong = {
      workflow: '',
      asynk: true,
      mirror: 2,
      fallback: 'perhaps',
      status: '/x',
    } as unknown as StrangleOptions<App, 'speak'>;
    expect(() => strangle(() => undefined, wrong)).toThrow(
      /"asynk" is not an option; did you mean "async".*spine must be.*workflow must be.*input must be.*mirror must be.*fallback must be.*status must be.*status needs user/,
    );
    expect(() =>
      strangle(() => undefined, { spine: spineOf(), workflow: 'speak', input: () => 1, async: true })(),
    ).toThrow('called with nothing of Express');
  });
});
