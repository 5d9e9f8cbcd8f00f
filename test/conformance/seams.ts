/**
 * The seams that later wings need are in what the first migration stores: tenant, exact envelope bytes with their fields,
 * payload commitments, payloads stored once, rank and hold, the feed. Each has a test here, over the real engine.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { payloadOfJson } from '../../src/core/codec.js';
import type { Envelope } from '../../src/core/envelope.js';
import type { Manifest, WorkflowManifest } from '../../src/core/manifest.js';
import { nodePorts } from '../../src/runtime/index.js';
import type { EventRow, Store } from '../../src/store/contract.js';
import type { Engine, Origin, StartOutcome } from '../../src/engine/api.js';
import { createEngine } from '../../src/engine/index.js';

const retry = { attempts: 3, minMs: 100, maxMs: 1000, factor: 2 };
const plain: Omit<WorkflowManifest, 'name' | 'on'> = {
  version: null,
  previous: [],
  input: null,
  completes: null,
  priority: 5,
  timeoutMs: null,
  retainMs: null,
  deadlineMs: 5000,
  retry,
};
const manifest: Manifest = {
  format: 1,
  app: 'seams',
  topics: [{ name: 'seen', schema: null, key: null, partitions: 1 }],
  workflows: [
    { ...plain, name: 'work', on: null },
    { ...plain, name: 'first', on: 'seen' },
    { ...plain, name: 'second', on: 'seen' },
  ],
  capabilities: [],
};
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

let store: Store;
let engine: Engine;

const originOf = (tenant: string): Origin => ({ tenant, actor: 'client:test', traceparent, correlation: 'order-7' });

async function start(
  tenant: string,
  input: unknown = 1,
  options: { priority?: number; idempotencyKey?: string } = {},
): Promise<string> {
  const [outcome]: StartOutcome[] = await engine.startRuns(originOf(tenant), [
    { workflow: 'work', input: payloadOfJson(input), ...options },
  ]);
  if (outcome === undefined || outcome.tag === 'error') throw new Error(JSON.stringify(outcome));
  return outcome.run;
}

async function firstEvent(tenant: string, stream: string): Promise<{ row: EventRow; envelope: Envelope }> {
  const [row] = await store.readEvents({ tenant, stream, after: stream.startsWith('run_') ? 0 : -1, limit: 1 });
  if (row === undefined) throw new Error('there is no event');
  return { row, envelope: JSON.parse(row.envelope) as Envelope };
}

/** Registers the tests of the seams for one backend; each gets a store of its own, made by `open`. */
export function exerciseSeams(
  name: string,
  open: () => Promise<{ readonly store: Store; readonly dispose: () => Promise<void> }>,
): void {
  describe(`seams on ${name}`, () => {
    let dispose: () => Promise<void>;

    beforeEach(async () => {
      ({ store, dispose } = await open());
      engine = createEngine({ store, ports: nodePorts, settings: { region: 'eu-1' } });
      await engine.start();
      await engine.register(manifest);
    });

    afterEach(async () => {
      await engine.stop();
      await store.close();
      await dispose();
    });

    it('put the tenant into every key: the same key of two tenants is two things', async () => {
      const a = await start('a', 1, { idempotencyKey: 'same' });
      const b = await start('b', 1, { idempotencyKey: 'same' });
      expect(a).not.toBe(b);
      expect(await store.readRun('b', a)).toBeNull();
      expect(await engine.readRun('b', a)).toBeNull();
      expect((await engine.listRuns('a', {})).items.map((run) => run.id)).toEqual([a]);
      expect(
        (await store.readTally()).filter((row) => row.kind === 'run').map((row) => [row.tenant, row.count]),
      ).toEqual([
        ['a', 1],
        ['b', 1],
      ]);
    });

    it('write every field of the envelope, and read back the very bytes', async () => {
      const run = await start('a');
      const { row, envelope } = await firstEvent('a', run);
      expect(envelope).toMatchObject({
        v: 1,
        tenant: 'a',
        stream: run,
        seq: 1,
        id: `${run}/1`,
        type: 'run.started',
        actor: 'client:test',
        cause: null,
        correlation: 'order-7',
        traceparent,
        schema: null,
        region: 'eu-1',
        epoch: store.epoch,
      });
      expect(envelope.hlc).toMatch(/^[0-9a-f]{16}$/);
      expect(Number.parseInt(envelope.hlc.slice(0, 12), 16)).toBeGreaterThanOrEqual(envelope.at);
      expect(JSON.stringify(envelope)).toBe(row.envelope);
    });

    it('order the events of one writer by their hybrid logical clocks', async () => {
      for (let i = 0; i < 20; i++) await start('a', i);
      const feed = await store.readFeed({ after: 0, limit: 100 });
      const stamps = feed.map((row) => (JSON.parse(row.envelope) as Envelope).hlc);
      expect(stamps).toEqual([...stamps].sort());
      expect(new Set(stamps).size).toBe(stamps.length);
    });

    it('commit to the payload: salt and stored bytes hash to what the envelope says', async () => {
      const run = await start('a', { secret: 'yes' });
      const { row, envelope } = await firstEvent('a', run);
      if (row.payload === null || !('text' in row.payload)) throw new Error('the payload should lie in the row');
      expect(row.payload.salt.length).toBe(16);
      expect(envelope.payload).toMatchObject({ codec: 'json/1', size: row.payload.text.length, keyId: null });
      expect(nodePorts.hash.sha256(row.payload.salt, row.payload.text)).toBe(envelope.payload?.commitment);
      // Two equal payloads do not look alike, so that an erased one cannot be guessed from its commitment.
      const other = await firstEvent('a', await start('a', { secret: 'yes' }));
      expect(other.envelope.payload?.commitment).not.toBe(envelope.payload?.commitment);
    });

    it('keep a payload once, however many events refer to it', async () => {
      const data = payloadOfJson({ text: 'x'.repeat(5_000) });
      const [published] = await engine.publish(originOf('a'), [
        { topic: 'seen', id: 'e1', source: 's', type: 'seen', data },
      ]);
      expect(published?.tag === 'published' ? published.runs.length : 0).toBe(2);
      const streams = ['seen/0', ...(published?.tag === 'published' ? published.runs : [])];
      const blobs = await Promise.all(streams.map(async (stream) => (await firstEvent('a', stream)).row.payload));
      const hashes = blobs.map((payload) => (payload !== null && 'blob' in payload ? payload.blob : 'inline'));
      expect(new Set(hashes).size).toBe(1);
      expect(hashes[0]).toMatch(/^[0-9a-f]{64}$/);
      expect(await store.readBlob('a', hashes[0] ?? '')).toEqual(
        new TextEncoder().encode(data.codec === 'json/1' && 'text' in data ? data.text : ''),
      );
    });

    it('say what caused what: runs that an event started carry its id and its correlation', async () => {
      const [published] = await engine.publish(originOf('a'), [
        { topic: 'seen', id: 'e1', source: 's', type: 'seen', data: payloadOfJson(1) },
      ]);
      const run = published?.tag === 'published' ? (published.runs[0] ?? '') : '';
      const { envelope } = await firstEvent('a', run);
      expect(envelope).toMatchObject({
        cause: 'e1',
        correlation: 'order-7',
        data: { trigger: { topic: 'seen', eventId: 'e1' } },
      });
    });

    it('rank ready work by priority, then by the age of the run', async () => {
      const low = await start('a', 1, { priority: 1 });
      const early = await start('a', 2);
      const late = await start('b', 3);
      const high = await start('a', 4, { priority: 9 });
      await store.openSession({
        session: 'ses_1',
        worker: 'w',
        app: 'seams',
        openedAt: 0,
        counter: 0,
        received: 0,
        info: '{}',
      });
      const claimed = await store.claim({
        session: 'ses_1',
        queues: [{ queue: 'workflow:work', limit: 9 }],
        limit: 9,
        assignmentFrom: 1,
      });
      const order = claimed.map((claim) => claim.task.run);
      expect(order[0]).toBe(high);
      expect(order.at(-1)).toBe(low);
      expect(new Set(order.slice(1, 3))).toEqual(new Set([early, late]));
    });

    it('hold work that a limit blocks out of every claim', async () => {
      const run = await start('a');
      const [task] = await store.readTasks('a', run);
      const row = await store.readRun('a', run);
      if (task === undefined || row === null) throw new Error('the run has no task');
      const { kind, queue, rank, attempt, deadlineMs, inputSeq } = task;
      const held = {
        task: 'h1',
        kind,
        queue,
        rank: rank - 1,
        attempt,
        deadlineMs,
        inputSeq,
        dueAt: null,
        limitKey: 'tenant:a',
      };
      expect(
        (
          await store.apply([
            {
              tenant: 'a',
              tasks: [
                { op: 'close', run, task: task.task },
                { op: 'open', run, task: held },
              ],
            },
          ])
        )[0]?.tag,
      ).toBe('applied');
      await store.openSession({
        session: 'ses_1',
        worker: 'w',
        app: 'seams',
        openedAt: 0,
        counter: 0,
        received: 0,
        info: '{}',
      });
      expect(
        await store.claim({ session: 'ses_1', queues: [{ queue, limit: 9 }], limit: 9, assignmentFrom: 1 }),
      ).toEqual([]);
      expect((await store.queueStats()).find((stats) => stats.queue === queue)).toMatchObject({ ready: 0, held: 1 });
    });

    it('bring every committed event to one feed, in commit order and without a gap', async () => {
      const run = await start('a');
      await engine.publish(originOf('b'), [
        { topic: 'seen', id: 'e1', source: 's', type: 'seen', data: payloadOfJson(1) },
      ]);
      await engine.cancel(originOf('a'), run);
      const feed = await store.readFeed({ after: 0, limit: 100 });
      expect(feed.map((row) => row.position)).toEqual(feed.map((_, i) => (feed[0]?.position ?? 0) + i));
      expect(feed.length).toBe(1 + 3 + 2);
      expect(await store.feedHead()).toBe(feed.at(-1)?.position);
      const rest = await store.readFeed({ after: feed[2]?.position ?? 0, limit: 100 });
      expect(rest.map((row) => row.position)).toEqual(feed.slice(3).map((row) => row.position));
    });
  });
}
