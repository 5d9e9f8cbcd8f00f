/** Several nodes on one database, all writing at the same time: what each reader sees, and that nothing is done twice. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createEngine } from '../../src/engine/index.js';
import { nodePorts } from '../../src/runtime/index.js';
import type { EventRow, Outcome, Store } from '../../src/store/index.js';
import {
  finish,
  leaseOf,
  move,
  queue,
  session,
  start,
  tenant,
  topicEvent,
} from '../../src/testing/conformance/builders.js';
import { describeUnless } from '../skip.js';
import { noPostgres, ownSchema } from './places.js';

const writers = 16;
const tailers = 8;
const roundsOfWriter = 40;

describeUnless(noPostgres, 'several nodes on one database', () => {
  let place: Awaited<ReturnType<typeof ownSchema>>;
  let nodes: Store[];

  beforeEach(async () => {
    place = await ownSchema();
    nodes = [await place.open(), await place.open()];
  });

  afterEach(async () => {
    await Promise.all(nodes.map((node) => node.close()));
    await place.dispose();
  });

  const node = (i: number): Store => nodes[i % nodes.length] as Store;

  it('opens them under different numbers', () => {
    expect(nodes.map(({ epoch }) => epoch)).toEqual([1, 2]);
  });

  it('opens many at once on an empty database', async () => {
    const empty = await ownSchema();
    const opened = await Promise.all(Array.from({ length: 6 }, () => empty.open()));
    expect(opened.map(({ epoch }) => epoch).sort()).toEqual([1, 2, 3, 4, 5, 6]);
    await Promise.all(opened.map((store) => store.close()));
    await empty.dispose();
  });

  it('has one secret for all, whoever asks first', async () => {
    const engines = nodes.map((store) => createEngine({ store, ports: nodePorts }));
    const [one, two, ...again] = await Promise.all(
      [...engines, ...engines].map((engine) => engine.secret('read-token')),
    );
    expect(one).toHaveLength(32);
    expect([two, ...again]).toEqual([one, one, one]);
    expect(await engines[0]?.secret('other')).not.toEqual(one);
  });

  it('shows 8 tailers what 16 writers write: nothing skipped, nothing twice, in one order, offsets dense', async () => {
    let isWriting = true;
    const write = async (writer: number): Promise<void> => {
      const store = node(writer);
      for (let i = 0; i < roundsOfWriter; i++) {
        const run = `run_${writer}_${i}`;
        // Every writer publishes to the same two partitions, and every run is moved on by another node than began it.
        const publishes = [topicEvent({ partition: i % 2, envelope: `${writer}/${i}` })];
        expect((await store.apply([{ ...start({ run }), publishes }]))[0]?.tag).toBe('applied');
        expect((await node(writer + 1).apply([move({ run, head: 1 })]))[0]?.tag).toBe('applied');
      }
    };
    const tail = async (tailer: number): Promise<EventRow[]> => {
      const seen: EventRow[] = [];
      for (;;) {
        const wasWriting = isWriting;
        const page = await node(tailer).readFeed({ after: seen.at(-1)?.position ?? 0, limit: 37 + tailer });
        seen.push(...page);
        if (page.length === 0 && !wasWriting) return seen;
      }
    };
    const tails = Array.from({ length: tailers }, (_, i) => tail(i));
    await Promise.all(Array.from({ length: writers }, (_, i) => write(i)));
    isWriting = false;
    const [first, ...others] = await Promise.all(tails);
    const total = writers * roundsOfWriter * 3;
    expect(first?.map(({ position }) => position)).toEqual(Array.from({ length: total }, (_, i) => i + 1));
    for (const other of others) expect(other).toEqual(first);
    const streams = new Map<string, number[]>();
    for (const { stream, seq } of first ?? []) streams.set(stream, [...(streams.get(stream) ?? []), seq]);
    for (const [stream, seqs] of streams) {
      const from = stream.includes('/') ? 0 : 1;
      expect(seqs, stream).toEqual(Array.from({ length: seqs.length }, (_, i) => from + i));
    }
    expect(await node(0).listTopics(tenant)).toEqual(
      [0, 1].map((partition) => ({ topic: 'orders', partition, head: (writers * roundsOfWriter) / 2 })),
    );
    expect(await node(0).check(9)).toEqual([]);
  });

  it('never passes an event whose commit comes late', async () => {
    // The transaction that drew its number first commits last: a reader by number would have passed it.
    const [slow, quick] = [node(0), node(1)];
    const many = Array.from({ length: 400 }, (_, i) => start({ run: `slow_${i}` }));
    const late = slow.apply(many);
    for (let i = 0; i < 20; i++) await quick.apply([start({ run: `quick_${i}` })]);
    const before = await quick.readFeed({ after: 0, limit: 1_000 });
    await late;
    const after = await quick.readFeed({ after: before.at(-1)?.position ?? 0, limit: 1_000 });
    const streams = [...before, ...after].map(({ stream }) => stream);
    expect(streams.length).toBe(420);
    expect(new Set(streams).size).toBe(420);
  });

  it('lets one of two creators of a run win, and tells the other where it is', async () => {
    const rounds = Array.from({ length: 60 }, (_, i) => `run_${i}`);
    const all = await Promise.all(rounds.map((run) => Promise.all(nodes.map((n) => n.apply([start({ run })])))));
    for (const outcomes of all) {
      const tags = outcomes.map(([outcome]) => outcome?.tag).sort();
      expect(tags).toEqual(['applied', 'conflict']);
    }
    expect(await node(0).check(9)).toEqual([]);
  });

  it('lets one of two takers of a key win, and shows the other what it stands for', async () => {
    const key = (i: number) => ({ scope: 's', key: `k${i}`, hash: 'h', expiresAt: node(0).now() + 60_000 });
    const all = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        Promise.all(
          nodes.map((n, at) =>
            n.apply([start({ run: `run_${at}_${i}`, dedupe: [{ ...key(i), reference: `run_${at}_${i}` }] })]),
          ),
        ),
      ),
    );
    for (const [i, outcomes] of all.entries()) {
      const winner = outcomes.findIndex(([outcome]) => outcome?.tag === 'applied');
      const [loser] = outcomes[1 - winner] as Outcome[];
      expect(loser).toMatchObject({ tag: 'duplicate', found: { reference: `run_${winner}_${i}` } });
    }
  });

  it('moves one run on by many at once, each step once', async () => {
    await node(0).apply([start()]);
    const step = async (writer: number): Promise<number> => {
      let moved = 0;
      let head = 1;
      while (moved < 15) {
        const [outcome] = await node(writer).apply([move({ head })]);
        if (outcome?.tag === 'applied') {
          moved += 1;
          head += 1;
        } else if (outcome?.tag === 'conflict') head = outcome.head;
      }
      return moved;
    };
    await Promise.all(Array.from({ length: 8 }, (_, i) => step(i)));
    expect((await node(0).readRun(tenant, 'run_1'))?.head).toBe(1 + 8 * 15);
    expect((await node(1).readEvents({ tenant, stream: 'run_1', after: 0, limit: 999 })).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 121 }, (_, i) => i + 1),
    );
  });

  it('drains a queue by claims and commits of both, every task once, counters right', async () => {
    const total = 600;
    await node(0).apply(Array.from({ length: total }, (_, i) => start({ run: `run_${i}`, task: { rank: i } })));
    const work = async (at: number): Promise<string[]> => {
      const name = `ses_${at}`;
      await node(at).openSession(session({ session: name }));
      const done: string[] = [];
      for (let from = 1; ; from += 20) {
        const claim = { session: name, queues: [{ queue, limit: 20 }], limit: 20, assignmentFrom: from };
        const claimed = await node(at).claim(claim);
        if (claimed.length === 0) return done;
        const [kept, returned] = [claimed.slice(0, 15), claimed.slice(15)];
        const released = node(at).release(returned.map(({ task }) => leaseOf(task)));
        const outcomes = await node(at + 1).apply(kept.map(({ task, head }) => finish(leaseOf(task), head)));
        expect(outcomes.every(({ tag }) => tag === 'applied')).toBe(true);
        expect(await released).toBe(returned.length);
        done.push(...kept.map(({ task }) => task.run));
      }
    };
    const done = (await Promise.all(Array.from({ length: 6 }, (_, i) => work(i)))).flat();
    // A claim passes over what another has locked, so a worker may stop early; who is left takes the rest.
    done.push(...(await work(6)));
    expect(done.length).toBe(total);
    expect(new Set(done).size).toBe(total);
    expect(await node(0).check(9)).toEqual([]);
    expect(await node(0).queueStats()).toEqual([]);
  });

  it('tells of work within a moment when both can hear, without asking', async () => {
    const heard = new Promise<ReadonlyMap<string, number>>((resolve) => {
      node(1).watch({ work: resolve, moved: () => undefined });
    });
    await node(0).apply([start({ task: { queue: 'wanted' } })]);
    expect((await heard).get('wanted')).toBeGreaterThan(0);
  });
});
