/** Agents: what becomes of messages, state, answers and failures. On a real engine and worker. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createEngine, type Engine } from '../../src/engine/index.js';
import { decodeValue, encodeValue } from '../../src/core/codec.js';
import { isBlobPayload } from '../../src/core/payload.js';
import { nodePorts } from '../../src/runtime/index.js';
import { createMemoryStore, type Store } from '../../src/store/index.js';
import { createSqliteMemoryStore } from '../../src/stores/sqlite/index.js';
import { createInProcessTransport, createWorker, type Worker } from '../../src/worker/index.js';
import { agent, defineApp, message, topic, workflow, type AnyApp } from '../../src/workflow/index.js';

const origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
const stores: Readonly<Record<string, () => Promise<Store>>> = {
  memory: async () => createMemoryStore({ clock: nodePorts.clock }),
  sqlite: () => createSqliteMemoryStore({ clock: nodePorts.clock }),
};
let open = stores['memory'] as () => Promise<Store>;
const running: { engine: Engine; worker: Worker }[] = [];

afterEach(async () => {
  for (const { engine, worker } of running.splice(0)) {
    await worker.stop();
    await engine.stop();
  }
});

async function serve(app: AnyApp): Promise<Engine> {
  const engine = createEngine({ store: await open(), ports: nodePorts });
  await engine.start();
  await engine.register(app.manifest);
  const worker = createWorker({ app, connect: createInProcessTransport(engine), parkAfterMs: 0 });
  await worker.start();
  running.push({ engine, worker });
  return engine;
}

let sent = 0;

async function tell(engine: Engine, agent: string, key: string, type: string, data: unknown, id = `m${++sent}`) {
  return engine.tellAgent(origin, { agent, key, type, id, data: encodeValue(data), reply: false });
}

async function ask(engine: Engine, agent: string, key: string, type: string, data: unknown): Promise<unknown> {
  const id = `m${++sent}`;
  const told = await engine.tellAgent(origin, { agent, key, type, id, data: encodeValue(data), reply: true });
  if (told.tag === 'error') throw told.error;
  const answer = await engine.readAnswer('default', { agent, key, id }, 5_000);
  if (answer.tag === 'failed') return { failed: answer.failure.code };
  if (answer.tag === 'pending' || isBlobPayload(answer.data)) throw new Error(answer.tag);
  return decodeValue(answer.data);
}

async function publish(engine: Engine, name: string, id: string, data: unknown): Promise<void> {
  const [outcome] = await engine.publish(origin, [
    { topic: name, id, source: 'test', type: name, data: encodeValue(data), value: data },
  ]);
  if (outcome?.tag === 'error') throw outcome.error;
}

/** Resolves when `done` holds of what is read. */
async function until<T>(read: () => Promise<T>, done: (value: T) => boolean): Promise<T> {
  for (let i = 0; ; i++) {
    const value = await read();
    if (done(value)) return value;
    if (i > 1_000) throw new Error(`still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const added = topic('note.added', { schema: z.object({ book: z.string(), text: z.string() }), key: 'book' });
const counted = message('count', { reply: z.number() });
const Notes = z.object({ notes: z.array(z.string()) });

const librarian = agent('librarian', {
  messages: [added, counted],
  state: Notes,
  initial: { notes: [] },
  continueAfter: 5,
  on: {
    'note.added': async (self, { data }) => {
      self.state.notes.push(data.text);
    },
    count: (self) => self.state.notes.length,
  },
});

describe.each(Object.entries(stores))('agents on %s', (_, opened) => {
  beforeEach(() => {
    open = opened;
  });

  it('take the events of a topic in the order of each key, over many runs of the key', async () => {
    const engine = await serve(defineApp({ name: 'a', agents: [librarian] }));
    for (let i = 0; i < 23; i++)
      for (const book of ['one', 'two'])
        await publish(engine, 'note.added', `${book}-${i}`, { book, text: `${book} ${i}` });
    const view = await until(
      () => engine.readAgent('default', 'librarian', 'two'),
      (found) => found?.handled === 23,
    );
    expect(view?.state).toEqual({ notes: Array.from({ length: 23 }, (_unused, i) => `two ${i}`) });
    expect(view?.generation).toBeGreaterThan(2);
    expect(await ask(engine, 'librarian', 'one', 'count', null)).toBe(23);
    expect((await engine.listAgents('default', 'librarian', {})).items.map(({ key }) => key)).toEqual(['one', 'two']);
    await until(
      () => engine.readAgent('default', 'librarian', 'two'),
      (found) => found?.status === 'idle',
    );
    expect((await engine.doctor()).checks.filter(({ ok }) => !ok)).toEqual([]);
  });

  it('take a message of one id one time', async () => {
    const engine = await serve(defineApp({ name: 'a', agents: [librarian] }));
    expect((await tell(engine, 'librarian', 'k', 'count', 1, 'same')).tag).toBe('delivered');
    for (let i = 0; i < 12; i++) await tell(engine, 'librarian', 'k', 'count', i);
    await until(
      () => engine.readAgent('default', 'librarian', 'k'),
      (found) => found?.handled === 13,
    );
    // In a later run of the key, which has never heard of it.
    expect((await tell(engine, 'librarian', 'k', 'count', 1, 'same')).tag).toBe('already');
  });

  it('refuse what they do not take', async () => {
    const engine = await serve(defineApp({ name: 'a', agents: [librarian] }));
    const codes = await Promise.all(
      [
        tell(engine, 'nobody', 'k', 'count', null),
        tell(engine, 'librarian', 'k', 'shout', null),
        tell(engine, 'librarian', 'k', 'note.added', { book: 1 }),
      ].map(async (told) => {
        const outcome = await told;
        return outcome.tag === 'error' && 'code' in outcome.error ? outcome.error.code : outcome.tag;
      }),
    );
    expect(codes).toEqual(['AGENT_UNKNOWN', 'MESSAGE_UNKNOWN', 'INPUT_INVALID']);
    const [start] = await engine.startRuns(origin, [{ workflow: 'librarian', input: encodeValue({ key: 'k' }) }]);
    expect(start?.tag).toBe('error');
  });

  it('ask each other, and workflows ask them', async () => {
    const question = message('question', { schema: z.object({ n: z.number() }), reply: z.object({ n: z.number() }) });
    const doubler = agent('doubler', {
      messages: [question],
      initial: null,
      on: {
        question: async (self, { data }) => ({ n: await self.step('double', () => data.n * 2) }),
      },
    });
    const asker = agent('asker', {
      messages: [question],
      initial: { asked: 0 },
      on: {
        question: async (self, { data }) => {
          const first = await self.ask('doubler', self.key, question, { n: data.n });
          const second = await self.ask(doubler, self.key, question, { n: first.n }, { as: 'again' });
          return { n: second.n };
        },
      },
    });
    const flow = workflow('flow', {}, async (ctx) => (await ctx.ask(asker, 'k', question, { n: 3 })).n);
    const engine = await serve(defineApp({ name: 'a', agents: [doubler, asker], workflows: [flow] }));
    expect(await ask(engine, 'asker', 'k', 'question', { n: 5 })).toEqual({ n: 20 });
    const [started] = await engine.startRuns(origin, [{ workflow: 'flow', input: encodeValue(null) }]);
    const run = started?.tag === 'started' ? started.run : '';
    expect(await engine.waitForEnd('default', run, 5_000)).toBe('succeeded');
    const result = await engine.readResult('default', run);
    expect(result).toMatchObject({ state: 'succeeded', output: { text: '12' } });
  });

  it('leave whoever asks without an answer after a time', async () => {
    const question = message('question');
    const mute = agent('mute', {
      messages: [question],
      initial: null,
      on: { question: (self) => self.sleep('10s') },
    });
    const flow = workflow('flow', {}, (ctx) => ctx.ask(mute, 'k', question, 1, { timeout: 20 }));
    const engine = await serve(defineApp({ name: 'a', agents: [mute], workflows: [flow] }));
    const [started] = await engine.startRuns(origin, [{ workflow: 'flow', input: encodeValue(null) }]);
    const run = started?.tag === 'started' ? started.run : '';
    expect(await engine.waitForEnd('default', run, 5_000)).toBe('failed');
    expect(await engine.readResult('default', run)).toMatchObject({ failure: { code: 'ASK_TIMEOUT' } });
  });

  it('send nothing and keep their state when a handler throws, and all of it when it returns', async () => {
    const work = message('work');
    const heard = message('heard');
    const done = topic('work.done', { schema: z.object({ n: z.number() }), key: 'n' });
    const listener = agent('listener', {
      messages: [heard, done],
      state: z.object({ heard: z.array(z.unknown()) }),
      initial: { heard: [] },
      on: {
        heard: (self, { data }) => void self.state.heard.push(data),
        'work.done': () => undefined,
      },
    });
    let tries = 0;
    const worker = agent('worker', {
      messages: [work],
      state: z.object({ n: z.number() }),
      initial: { n: 0 },
      retry: { attempts: 3, min: 1, max: 1 },
      on: {
        work: async (self) => {
          self.state.n += 1;
          await self.tell(listener, 'l', heard, { n: self.state.n, tries });
          await self.emit(done, { n: self.state.n });
          tries += 1;
          if (tries < 3) throw new Error('not yet');
        },
      },
    });
    const engine = await serve(defineApp({ name: 'a', agents: [worker, listener] }));
    await tell(engine, 'worker', 'w', 'work', null);
    const view = await until(
      () => engine.readAgent('default', 'listener', 'l'),
      (found) => found?.status === 'idle',
    );
    expect(view?.state).toEqual({ heard: [{ n: 1, tries: 2 }] });
    expect((await engine.readAgent('default', 'worker', 'w'))?.state).toEqual({ n: 1 });
    expect((await engine.readTopic('default', 'work.done', { partition: 0, after: -1, limit: 10 })).items).toHaveLength(
      1,
    );
    expect((await engine.readAgent('default', 'worker', 'w'))?.handled).toBe(1);
  });

  it('fail a message whose state is not valid, and not themselves', async () => {
    const set = message('set', { reply: z.string() });
    const strict = agent('strict', {
      messages: [set],
      state: z.object({ n: z.number() }),
      initial: { n: 0 },
      on: {
        set: (self, { data }) => {
          self.state.n = data as number;
          return 'set';
        },
      },
    });
    const engine = await serve(defineApp({ name: 'a', agents: [strict] }));
    expect(await ask(engine, 'strict', 'k', 'set', 1)).toBe('set');
    expect(await ask(engine, 'strict', 'k', 'set', 'no number')).toEqual({ failed: 'STATE_INVALID' });
    expect(await ask(engine, 'strict', 'k', 'set', 3)).toBe('set');
    expect((await engine.readAgent('default', 'strict', 'k'))?.state).toEqual({ n: 3 });
    const [letter] = (await engine.listDeadLetters('default', {})).items;
    expect(letter).toMatchObject({ workflow: 'strict', code: 'STATE_INVALID' });
  });

  describe('supervision', () => {
    const work = message('work');
    let broken = true;
    const handled: unknown[] = [];
    beforeEach(() => {
      broken = true;
      handled.length = 0;
    });
    const handler = (_self: unknown, { data }: { readonly data: unknown }): void => {
      if (broken && data === 'bad') throw new Error('broken');
      handled.push(data);
    };

    it('skip: the message becomes a dead letter, which can be redriven, and the next goes on', async () => {
      const skipping = agent('skipping', {
        messages: [work],
        initial: null,
        retry: { attempts: 1 },
        on: { work: handler },
      });
      const engine = await serve(defineApp({ name: 'a', agents: [skipping] }));
      for (const data of ['bad', 'good']) await tell(engine, 'skipping', 'k', 'work', data);
      await until(
        async () => handled.length,
        (n) => n === 1,
      );
      const [letter] = (await engine.listDeadLetters('default', {})).items;
      expect(letter).toMatchObject({ workflow: 'skipping', message: 'broken' });
      broken = false;
      expect(await engine.redriveDeadLetter(origin, letter?.id ?? '')).toEqual({ tag: 'done' });
      await until(
        async () => handled.length,
        (n) => n === 2,
      );
      expect(handled).toEqual(['good', 'bad']);
      expect((await engine.listDeadLetters('default', {})).items).toEqual([]);
    });

    it('park: mail waits until a person redrives the run', async () => {
      const parking = agent('parking', {
        messages: [work],
        initial: null,
        retry: { attempts: 1 },
        onError: 'park',
        on: { work: handler },
      });
      const engine = await serve(defineApp({ name: 'a', agents: [parking] }));
      await tell(engine, 'parking', 'k', 'work', 'bad');
      await until(
        () => engine.readAgent('default', 'parking', 'k'),
        (found) => found?.status === 'parked',
      );
      for (const data of [1, 2]) expect((await tell(engine, 'parking', 'k', 'work', data)).tag).toBe('delivered');
      expect(await engine.readAgent('default', 'parking', 'k')).toMatchObject({ status: 'parked', mailbox: 2 });
      expect(handled).toEqual([]);
      broken = false;
      const [letter] = (await engine.listDeadLetters('default', {})).items;
      expect(await engine.redriveDeadLetter(origin, letter?.id ?? '')).toEqual({ tag: 'done' });
      await until(
        async () => handled.length,
        (n) => n === 3,
      );
      expect(handled).toEqual(['bad', 1, 2]);
    });

    it('escalate: another agent, or a topic, is told', async () => {
      const alarms = topic('alarms', { key: 'key' });
      const alarm = message('alarm');
      const told: unknown[] = [];
      const chief = agent('chief', {
        messages: [alarm, alarms],
        initial: null,
        on: {
          alarm: (_self, { data }) => void told.push(data),
          alarms: (_self, { data }) => void told.push(data),
        },
      });
      const options = { messages: [work], initial: null, retry: { attempts: 1 }, on: { work: handler } } as const;
      const upward = agent('upward', { ...options, onError: { escalate: chief, key: 'boss', message: alarm } });
      const outward = agent('outward', { ...options, onError: { escalate: alarms } });
      const engine = await serve(defineApp({ name: 'a', agents: [chief, upward, outward] }));
      await tell(engine, 'upward', 'k', 'work', 'bad');
      await tell(engine, 'outward', 'k', 'work', 'bad');
      await until(
        async () => told.length,
        (n) => n === 2,
      );
      const error = { code: 'Error', message: 'broken' };
      expect(told).toContainEqual(
        expect.objectContaining({
          agent: 'upward',
          key: 'k',
          data: 'bad',
          error: expect.objectContaining(error) as unknown,
        }),
      );
      expect(told).toContainEqual(expect.objectContaining({ agent: 'outward', key: 'k', type: 'work' }));
    });
  });

  it('begin anew with the next message after they were cancelled', async () => {
    const engine = await serve(defineApp({ name: 'a', agents: [librarian] }));
    await publish(engine, 'note.added', '1', { book: 'b', text: 'lost' });
    const before = await until(
      () => engine.readAgent('default', 'librarian', 'b'),
      (found) => found?.handled === 1,
    );
    await engine.cancel(origin, before?.run ?? '');
    await until(
      () => engine.readAgent('default', 'librarian', 'b'),
      (found) => found?.status === 'ended',
    );
    expect(await ask(engine, 'librarian', 'b', 'count', null)).toBe(0);
  });
});
