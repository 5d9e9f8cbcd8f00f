import { describe, expect, it } from 'vitest';
import { limits } from '../core/limits.js';
import { decodeValue } from '../core/codec.js';
import { ChunkBatcher, type ChunkBatch } from './stream-writer.js';

/** Time that moves by hand, and a recorder that answers by hand. */
function world() {
  let nowMs = 0;
  let timers: { atMs: number; fn: () => void }[] = [];
  const sent: { from: number; chunks: unknown; answer: () => void }[] = [];
  const ports = {
    clock: { now: () => nowMs, monotonicMs: () => nowMs },
    timers: {
      after: (ms: number, fn: () => void) => {
        const timer = { atMs: nowMs + ms, fn };
        timers.push(timer);
        return () => (timers = timers.filter((other) => other !== timer));
      },
      turn: (fn: () => void) => fn(),
    },
  };
  const send = ({ from, chunks }: ChunkBatch): Promise<void> =>
    new Promise((answer) => sent.push({ from, chunks: decodeValue(chunks), answer }));
  return {
    ports,
    sent,
    send,
    settle: async () => {
      for (let i = 0; i < 10; i++) await Promise.resolve();
    },
    advance(ms: number) {
      nowMs += ms;
      const due = timers.filter(({ atMs }) => atMs <= nowMs);
      timers = timers.filter(({ atMs }) => atMs > nowMs);
      for (const { fn } of due) fn();
    },
  };
}

describe('ChunkBatcher', () => {
  it('sends the first chunks at once and collects the next while a batch is under way', async () => {
    const { ports, sent, send, settle, advance } = world();
    const batcher = new ChunkBatcher(ports, send);
    void batcher.write('a');
    await batcher.write('b');
    await settle();
    expect(sent.map(({ from, chunks }) => [from, chunks])).toEqual([[0, ['a', 'b']]]);
    await batcher.write('c');
    advance(20);
    await settle();
    expect(sent).toHaveLength(1);
    sent[0]?.answer();
    await settle();
    await batcher.write('d');
    advance(1_000);
    await settle();
    expect(sent.slice(1).map(({ from, chunks }) => [from, chunks])).toEqual([[2, ['c', 'd']]]);
  });

  it('holds a source back that is faster than the store', async () => {
    const { ports, sent, send, settle } = world();
    const batcher = new ChunkBatcher(ports, send);
    const chunk = 'x'.repeat(2_000);
    let written = 0;
    const source = (async () => {
      for (; written < 50; written++) await batcher.write(chunk);
    })();
    await settle();
    expect(written).toBeLessThan(10);
    for (let i = 0; i < 100 && written < 50; i++) {
      for (const { answer } of sent) answer();
      await settle();
      batcher.flush();
      await settle();
    }
    await source;
    expect(written).toBe(50);
  });

  it('leaves nothing behind when it is flushed, in batches that fit', async () => {
    const { ports, sent, send } = world();
    const batcher = new ChunkBatcher(ports, send, 7);
    const chunks = Array.from({ length: 30 }, (_, i) => `${i}`.repeat(300));
    for (const chunk of chunks) void batcher.write(chunk);
    await Promise.resolve();
    batcher.flush();
    expect(sent.flatMap(({ chunks }) => chunks)).toEqual(chunks);
    let next = 7;
    for (const { from, chunks } of sent) {
      expect(from).toBe(next);
      next += (chunks as unknown[]).length;
      expect(JSON.stringify(chunks).length).toBeLessThanOrEqual(limits.streamBatchBytesMax);
    }
  });

  it('refuses a chunk that is too large, and goes on', async () => {
    const { ports, sent, send, settle } = world();
    const batcher = new ChunkBatcher(ports, send);
    await expect(batcher.write('x'.repeat(limits.streamChunkBytesMax))).rejects.toMatchObject({
      code: 'VALUE_UNSTORABLE',
    });
    await batcher.write('y');
    await settle();
    expect(sent[0]?.chunks).toEqual(['y']);
  });
});
