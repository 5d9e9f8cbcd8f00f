import { describe, expect, it } from 'vitest';
import type { Engine, RunStreamHandlers } from '../../engine/api.js';
import type { RunEventView, RunViewState } from '../../protocol/http.js';
import type { StreamSink } from '../answer.js';
import { cursorOf, seqOfCursor } from './cursor.js';
import { EventStreamSink } from './event-sink.js';
import { fakeEngine } from '../engine.test.fake.js';
import { createServer } from '../index.js';
import { settingsOf } from '../options.js';
import { StreamHub } from './run-stream.js';

const run = 'run_01jd00000000000000000000aa';
const tenant = 'default';

function eventView(seq: number, size = 0): RunEventView {
  return { seq, id: `evt_${seq}`, type: 'progress.reported', at: '', actor: 'a', data: 'x'.repeat(size) };
}

/** A sink whose reader takes bytes when the test says so. */
class FakeSink implements StreamSink {
  text = '';
  waiting = 0;
  ended = false;
  destroyed = false;
  paused = false;
  #drain: (() => void)[] = [];
  #close: (() => void)[] = [];

  write(chunk: Uint8Array): void {
    this.text += new TextDecoder().decode(chunk);
    if (this.paused) this.waiting += chunk.byteLength;
  }
  bufferedBytes(): number {
    return this.waiting;
  }
  onDrain(fn: () => void): void {
    this.#drain.push(fn);
  }
  onClose(fn: () => void): void {
    this.#close.push(fn);
  }
  end(): void {
    this.ended = true;
    if (this.waiting === 0) this.close();
  }
  destroy(): void {
    this.destroyed = true;
    this.close();
  }
  take(): void {
    this.waiting = 0;
    for (const fn of this.#drain.splice(0)) fn();
  }
  close(): void {
    for (const fn of this.#close.splice(0)) fn();
  }
  seqs(): number[] {
    return [...this.text.matchAll(/^data: \{"seq":(\d+)/gm)].map(([, seq]) => Number(seq));
  }
}

/** A log of events that can be followed, as the engine does it: what is there at once, the rest as it is appended. */
function logOf(first: readonly RunEventView[], state: RunViewState = 'running') {
  const events = [...first];
  const followers = new Set<{ handlers: RunStreamHandlers; seen: number }>();
  const hand = (follower: { handlers: RunStreamHandlers; seen: number }): void => {
    const news = events.filter((event) => event.seq > follower.seen);
    follower.seen = news.at(-1)?.seq ?? follower.seen;
    if (news.length > 0 && !follower.handlers.onEvents(news, state)) followers.delete(follower);
  };
  const follow: Engine['follow'] = (_tenant, _run, after, handlers) => {
    const follower = { handlers, seen: after };
    followers.add(follower);
    hand(follower);
    return Promise.resolve(() => followers.delete(follower));
  };
  return {
    follow,
    followers,
    append: (...news: RunEventView[]) => {
      events.push(...news);
      for (const follower of [...followers]) hand(follower);
    },
    end: (ended: RunViewState) => {
      for (const follower of [...followers]) follower.handlers.onEnd(ended);
      followers.clear();
    },
  };
}

function hubOver(follow: Engine['follow'], limits: Parameters<typeof settingsOf>[0]['limits'] = {}) {
  const logged: unknown[] = [];
  const settings = settingsOf({ engine: fakeEngine({ follow }), limits, log: (entry) => logged.push(entry) });
  const hub = new StreamHub(settings);
  const open = (after = 0): FakeSink => {
    const sink = new FakeSink();
    hub.open({
      tenant,
      run,
      after,
      state: 'running',
      sink: new EventStreamSink(sink),
      reference: 'ref',
      show: null,
      forMs: null,
    });
    return sink;
  };
  return { hub, open, logged };
}

describe('a stream of a run', () => {
  it('begins with the retry hint and the state, and gives each event the cursor to go on after it', () => {
    const log = logOf([eventView(1)]);
    const { open } = hubOver(log.follow);
    const sink = open();
    const id = cursorOf(tenant, run, 1);
    expect(sink.text).toBe(
      `retry: 1000\n\nevent: state\ndata: {"state":"running"}\n\nid: ${id}\nevent: event\ndata: ${JSON.stringify(eventView(1))}\n\n`,
    );
    expect(seqOfCursor(tenant, run, id)).toBe(1);
  });

  it('goes on after the cursor, tells the end and lets go', () => {
    const log = logOf([eventView(1), eventView(2)]);
    const { open, hub } = hubOver(log.follow);
    const sink = open(1);
    log.append(eventView(3));
    log.end('succeeded');
    expect(sink.seqs()).toEqual([2, 3]);
    expect(sink.text).toContain(`id: ${cursorOf(tenant, run, 3)}\nevent: end\ndata: {"state":"succeeded"}\n\n`);
    expect([sink.ended, hub.size, log.followers.size]).toEqual([true, 0, 0]);
  });

  it('tells no event twice, even if it is handed over twice', () => {
    const { open } = hubOver((_tenant, _run, _after, handlers) => {
      handlers.onEvents([eventView(1), eventView(2)], 'running');
      handlers.onEvents([eventView(2), eventView(3)], 'running');
      return Promise.resolve(() => undefined);
    });
    expect(open().seqs()).toEqual([1, 2, 3]);
  });

  it('tells of events that are gone', () => {
    const { open } = hubOver((_tenant, _run, _after, handlers) => {
      handlers.onGap(1, 4);
      handlers.onEvents([eventView(5)], 'running');
      return Promise.resolve(() => undefined);
    });
    expect(open().text).toContain(`id: ${cursorOf(tenant, run, 4)}\nevent: gap\ndata: {"from":1,"to":4}\n\n`);
  });

  it('never buffers more than its bound, and misses nothing for it', () => {
    const bound = 4_000;
    const log = logOf(Array.from({ length: 50 }, (_, i) => eventView(i + 1, 500)));
    const { open } = hubOver(log.follow, { streamBufferBytesMax: bound });
    const slow = new FakeSink();
    slow.paused = true;
    const { hub } = hubOver(log.follow, { streamBufferBytesMax: bound });
    const sink = new EventStreamSink(slow);
    hub.open({ tenant, run, after: 0, state: 'running', sink, reference: 'r', show: null, forMs: null });
    const quick = open();
    let most = 0;
    for (let turn = 0; turn < 200 && slow.seqs().length < 51; turn++) {
      if (turn === 3) log.append(eventView(51, 500));
      most = Math.max(most, slow.waiting);
      slow.take();
    }
    expect(slow.seqs()).toEqual(Array.from({ length: 51 }, (_, i) => i + 1));
    expect(quick.seqs()).toEqual(slow.seqs());
    expect(most).toBeLessThan(bound + 1_000);
    expect(most).toBeGreaterThan(bound / 2);
  });

  it('lets go of the run when the reader leaves', async () => {
    const log = logOf([]);
    const { open, hub } = hubOver(log.follow);
    const sink = open();
    await Promise.resolve();
    sink.close();
    log.append(eventView(1));
    expect([log.followers.size, hub.size, sink.seqs()]).toEqual([0, 0, []]);
  });

  it('ends with a hint to come back when the server stops, and when following fails', async () => {
    const log = logOf([]);
    const { open, hub, logged } = hubOver(log.follow);
    const sink = open();
    hub.close();
    expect(sink.text).toMatch(/: the server is stopping.*\nretry: 1000\n\n$/);
    expect(open().ended).toBe(true);
    const failing = hubOver(() => Promise.reject(new Error('canary')));
    const broken = failing.open();
    await new Promise((resolve) => setImmediate(resolve));
    expect([broken.ended, failing.logged.length]).toEqual([true, 1]);
    expect(broken.text).not.toContain('canary');
    expect(logged).toEqual([]);
  });

  it('keeps idle readers alive and cuts off those that take nothing', async () => {
    const log = logOf([]);
    const { open } = hubOver(log.follow, { heartbeatMs: 5, streamStallMs: 10 });
    const idle = open();
    const stalled = open();
    stalled.paused = true;
    log.append(eventView(1));
    await expect.poll(() => stalled.destroyed).toBe(true);
    expect(stalled.text).toContain(': cut off');
    expect(idle.text).toMatch(/\n:\n\n/);
    expect(idle.ended).toBe(false);
  });
});

describe('GET /v1/runs/{id}/stream', () => {
  const ended = (state: RunViewState, left: RunEventView[]) =>
    createServer({
      engine: fakeEngine({
        waitForEnd: () => Promise.resolve(state),
        readHistory: () => Promise.resolve(left),
        follow: logOf([eventView(1)]).follow,
      }),
    });
  const ask = (server: ReturnType<typeof ended>, headers: Record<string, string>, query = '') =>
    server.fetch(new Request(`http://localhost/v1/runs/${run}/stream${query}`, { headers }));

  it('answers 204 only when a run has ended and was read to its end', async () => {
    const id = cursorOf(tenant, run, 1);
    expect((await ask(ended('succeeded', []), { 'last-event-id': id })).status).toBe(204);
    expect((await ask(ended('succeeded', []), {}, `?cursor=${id}`)).status).toBe(204);
    for (const response of [
      await ask(ended('succeeded', [eventView(2)]), { 'last-event-id': id }),
      await ask(ended('running', []), { 'last-event-id': id }),
      await ask(ended('succeeded', []), {}),
    ]) {
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('text/event-stream');
      expect(response.headers.get('x-accel-buffering')).toBe('no');
      await response.body?.cancel();
    }
  });

  it('refuses the cursor of another run', async () => {
    const response = await ask(ended('running', []), { 'last-event-id': cursorOf(tenant, 'run_other', 1) });
    expect(response.status).toBe(400);
  });

  it('streams over fetch and lets go when the reader cancels', async () => {
    const log = logOf([eventView(1)]);
    const server = createServer({
      engine: fakeEngine({ waitForEnd: () => Promise.resolve('running'), follow: log.follow }),
    });
    const response = await server.fetch(new Request(`http://localhost/v1/runs/${run}/stream`));
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let text = '';
    while (!text.includes('"seq":2')) {
      const { value } = await reader.read();
      text += new TextDecoder().decode(value);
      if (text.includes('"seq":1') && !text.includes('"seq":2')) log.append(eventView(2));
    }
    await reader.cancel();
    expect(log.followers.size).toBe(0);
  });
});

describe('a cursor', () => {
  it.each(['', 'x', '1', '1-', '-1', '1-0', `${'z'.repeat(10)}-1`])('%j is refused', (text) => {
    expect(() => seqOfCursor(tenant, run, text)).toThrow(/cursor/);
  });

  it('is bound to tenant, run and place', () => {
    const cursor = cursorOf(tenant, run, 1234);
    expect(seqOfCursor(tenant, run, cursor)).toBe(1234);
    expect(() => seqOfCursor('other', run, cursor)).toThrow();
    expect(() => seqOfCursor(tenant, 'run_other', cursor)).toThrow();
    expect(() => seqOfCursor(tenant, run, cursor.replace(/^./, 'z'))).toThrow();
  });
});
