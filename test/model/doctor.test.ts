/** What the doctor says of entries: nothing where they are what the log folds to, and what is wrong where they are not. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEngine, type Engine } from '../../src/engine/index.js';
import { encodeValue } from '../../src/core/codec.js';
import { nodePorts } from '../../src/runtime/index.js';
import { createMemoryStore, type EntryRow, type Store } from '../../src/store/index.js';
import { createSqliteMemoryStore } from '../../src/stores/sqlite/index.js';
import { createInProcessTransport, createWorker, type Worker } from '../../src/worker/index.js';
import { agent, defineApp, message, signal, topic, workflow } from '../../src/workflow/index.js';

const origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
const paid = signal('paid');
const shipped = topic('shipped', { key: 'order' });
const note = message('note');

const forever = workflow('forever', {}, (ctx) => ctx.waitFor(paid));
const waits = workflow('waits', { signals: [paid] }, async (ctx) => {
  await Promise.all([
    ctx.waitFor(paid, { as: 'paid' }),
    ctx.waitFor(shipped, { match: { order: 'o1' } }),
    ctx.approve('review', { to: ['role:editor', 'user:ann'] }),
    ctx.child(forever, null),
  ]);
});
const clerk = agent('clerk', { messages: [note], initial: 0, on: { note: (self) => void (self.state = 1) } });
const app = defineApp({ workflows: [waits, forever], topics: [shipped], agents: [clerk] });

const stores: Readonly<Record<string, () => Promise<Store>>> = {
  memory: async () => createMemoryStore({ clock: nodePorts.clock }),
  sqlite: () => createSqliteMemoryStore({ clock: nodePorts.clock }),
};

describe.each(Object.entries(stores))('the doctor over %s', (_, open) => {
  let store: Store;
  let engine: Engine;
  let worker: Worker;
  let run = '';

  beforeEach(async () => {
    store = await open();
    engine = createEngine({ store, ports: nodePorts });
    await engine.start();
    await engine.register(app.manifest);
    worker = createWorker({ app, connect: createInProcessTransport(engine), parkAfterMs: 0 });
    await worker.start();
    const [outcome] = await engine.startRuns(origin, [{ workflow: 'waits', input: encodeValue(null) }]);
    if (outcome?.tag !== 'started') throw new Error('it was not started');
    ({ run } = outcome);
    await engine.tellAgent(origin, {
      agent: 'clerk',
      key: 'k',
      type: 'note',
      id: 'm1',
      data: encodeValue(null),
      reply: true,
    });
    await engine.readAnswer('default', { agent: 'clerk', key: 'k', id: 'm1' }, 5_000);
    const spaces = ['signal', 'wait:shipped', 'inbox', 'children'];
    for (let i = 0; (await Promise.all(spaces.map(entries))).some((rows) => rows.length === 0); i++) {
      if (i > 300) throw new Error('the run does not come to its waits');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });

  afterEach(async () => {
    await worker.stop();
    await engine.stop();
  });

  async function entries(space: string): Promise<EntryRow[]> {
    return await store.readEntries({ tenant: 'default', space, limit: 100 });
  }

  /** What it finds wrong with rows, but for those of the store's own invariants. */
  async function found(): Promise<(readonly string[])[]> {
    const { checks } = await engine.doctor();
    const rows = checks.find(({ property }) => property === 'P12');
    expect(rows?.checked).toBe(3 + (await entries('agent:clerk')).length - 1);
    return (rows?.violations ?? []).map(({ subject, detail }) => [subject, detail] as const);
  }

  it('has nothing to say of open waits, children and agents', async () => {
    expect(await found()).toEqual([]);
  });

  it.each(['signal', 'wait:shipped', 'inbox', 'children'])('finds that an entry of %s is missing', async (space) => {
    const row = (await entries(space)).find((one) => one.run === run);
    if (row === undefined) throw new Error('there is none');
    await store.apply([{ tenant: 'default', entries: [{ op: 'drop', space, key: row.key, ref: row.ref }] }]);
    expect(await found()).toEqual([[run, expect.stringMatching(new RegExp(`^entry \\["${space}",.* is missing$`))]]);
  });

  it('finds an entry that was left when its wait was over', async () => {
    const left = (await entries('inbox')).concat(await entries('signal')).filter((one) => one.run === run);
    const answer = await engine.cancel(origin, run, { reason: 'enough', graceMs: 1_000 });
    expect(answer).toEqual({ tag: 'done' });
    await engine.waitForEnd('default', run, 5_000);
    expect((await found()).filter(([subject]) => subject === run)).toEqual([]);
    for (const row of left) {
      const { tenant, ...entry } = row;
      await store.apply([{ tenant, entries: [{ op: 'put', ...entry }] }]);
      expect(await found()).toEqual([[run, expect.stringMatching(/is there, and the log does not say so$/)]]);
      await store.apply([{ tenant, entries: [{ op: 'drop', ...entry }] }]);
    }
  });

  it('finds an entry that says another thing than the log', async () => {
    const [row] = await entries('children');
    if (row === undefined) throw new Error('there is none');
    const { tenant, ...entry } = row;
    await store.apply([{ tenant, entries: [{ op: 'put', ...entry, value: '"elsewhere"' }] }]);
    expect(await found()).toMatchObject([[run, expect.stringContaining('elsewhere')]]);
  });

  it('finds an agent that mail goes past, and an answer that nobody can read', async () => {
    const [address] = await entries('agent:clerk');
    if (address === undefined) throw new Error('there is none');
    const { tenant, ...entry } = address;
    const value = JSON.stringify({ run: 'run_other', generation: 1 });
    await store.apply([{ tenant, entries: [{ op: 'put', ...entry, value }] }]);
    expect(await found()).toMatchObject([[expect.any(String), expect.stringContaining('run_other')]]);
    await store.apply([{ tenant, entries: [{ op: 'put', ...entry }] }]);
    for (const { space, key, ref } of await entries('answer'))
      await store.apply([{ tenant, entries: [{ op: 'drop', space, key, ref }] }]);
    expect(await found()).toMatchObject([
      [expect.any(String), expect.stringMatching(/^entry \["answer",.* is missing$/)],
    ]);
  });
});
