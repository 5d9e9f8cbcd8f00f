import { afterEach, describe, expect, it } from 'vitest';
import type { Pace } from '../client/index.js';
import type { Attention } from './attention.js';
import { createPage, type Page, type PageOptions } from './create-page.js';
import type { RunSnapshot } from './run-snapshot.js';
import type { RunWatch } from './run-watch.js';

const run = 'run_1';

/** Time that moves when it is told to. */
class ManualPace implements Pace {
  nowMs = 0;
  readonly pauses: number[] = [];
  #timers: { readonly at: number; readonly fn: () => void }[] = [];

  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.nowMs + ms, fn };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.pauses.push(ms);
    return new Promise((resolve, reject) => {
      const cancel = this.after(ms, resolve);
      signal?.addEventListener('abort', () => {
        cancel();
        reject(signal.reason as Error);
      });
    });
  }

  random(): number {
    return 0;
  }

  async pass(ms: number): Promise<void> {
    await settled();
    this.nowMs += ms;
    for (const timer of this.#timers.filter(({ at }) => at <= this.nowMs)) {
      this.#timers = this.#timers.filter((other) => other !== timer);
      timer.fn();
    }
    await settled();
  }
}

/** Lets everything that is under way come to rest. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((wake) => setImmediate(wake));
}

class ManualAttention implements Attention {
  hidden = false;
  readonly listeners = new Set<() => void>();
  isHidden(): boolean {
    return this.hidden;
  }
  onChange(fn: () => void): () => void {
    this.listeners.add(fn);
    return () => this.listeners.delete(fn);
  }
  show(hidden: boolean): void {
    this.hidden = hidden;
    for (const listener of this.listeners) listener();
  }
}

/** A server of one run, as far as a page sees it; each request is answered as the test wants. */
class Site {
  readonly pace = new ManualPace();
  readonly attention = new ManualAttention();
  readonly asked: string[] = [];
  readonly tokens: (string | null)[] = [];
  state = 'running';
  events = 1;
  output: unknown = { text: 'done' };
  /** Instead of an answer, by what is asked: a status and code, or no answer at all. */
  readonly faults = new Map<string, [number, string] | 'down'>();
  renewals = 0;
  /** Tokens that have expired. */
  readonly expired = new Set<string>();
  /** Streams that are open. */
  streams: ReadableStreamDefaultController<Uint8Array>[] = [];
  readonly resumedAt: (string | null)[] = [];

  page(options: PageOptions = {}): Page {
    return createPage({
      ...options,
      url: 'http://app.example.com/spine',
      fetch: (input, init) => this.#answer(new Request(input, init)),
      pace: this.pace,
      attention: this.attention,
      hidden: '10s',
    });
  }

  send(event: string, data: unknown, id?: string): void {
    const text = `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
    for (const stream of this.streams) stream.enqueue(new TextEncoder().encode(text));
  }

  progress(seq: number, payload: unknown): void {
    this.events = seq;
    const data = { seq, id: `${run}/${seq}`, type: 'progress.reported', at: '', actor: '', data: {}, payload };
    this.send('event', data, `c${seq}`);
  }

  step(seq: number, status: string, path: string): void {
    this.send(
      'event',
      { seq, id: `${run}/${seq}`, type: `step.${status}`, at: '', actor: '', data: { path } },
      `c${seq}`,
    );
  }

  end(state: string): void {
    this.state = state;
    this.send('end', { state }, `c${this.events}`);
    this.cut();
  }

  /** Ends all connections as a server does that is stopped. */
  cut(): void {
    for (const stream of this.streams.splice(0)) stream.close();
  }

  #answer(request: Request): Promise<Response> {
    const what = request.url.split('/').at(-1) ?? '';
    const name = what === run ? 'view' : what;
    this.asked.push(name);
    this.tokens.push(request.headers.get('authorization'));
    const isExpired = this.expired.has((request.headers.get('authorization') ?? '').replace('Bearer ', ''));
    const fault = this.faults.get(name) ?? (isExpired ? ([401, 'READ_TOKEN_EXPIRED'] as const) : undefined);
    if (fault === 'down') return Promise.reject(new TypeError('fetch failed'));
    if (fault !== undefined) {
      const [status, code] = fault;
      return Promise.resolve(Response.json({ status, code, detail: code, mend: '' }, { status }));
    }
    return Promise.resolve(this.#fine(name, request));
  }

  #fine(name: string, request: Request): Response {
    const isEnded = this.state === 'succeeded' || this.state === 'failed';
    switch (name) {
      case 'view':
        return Response.json({
          state: this.state,
          events: this.events,
          progress: null,
          steps: [],
          cursor: `c${this.events}`,
          endedAt: isEnded ? '2027-01-01T00:00:00Z' : null,
        });
      case 'result':
        return this.state === 'failed'
          ? Response.json({ status: 422, code: 'RUN_FAILED', detail: 'it broke', mend: '', run }, { status: 422 })
          : Response.json(this.output);
      case 'tokens':
        this.renewals += 1;
        return Response.json({ token: `esr1.${this.renewals}`, expiresAt: '2027-01-01T00:00:00Z' }, { status: 201 });
      case 'stream': {
        this.resumedAt.push(request.headers.get('last-event-id'));
        let mine: ReadableStreamDefaultController<Uint8Array> | null = null;
        const body = new ReadableStream<Uint8Array>({
          start: (controller) => {
            mine = controller;
            this.streams.push(controller);
            controller.enqueue(new TextEncoder().encode(`event: state\ndata: {"state":"${this.state}"}\n\n`));
          },
          cancel: () => {
            this.streams = this.streams.filter((stream) => stream !== mine);
          },
        });
        return new Response(body);
      }
      default:
        throw new Error(`nobody expects ${name}`);
    }
  }
}

const stops: (() => void)[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** A watch that is looked at, with everything that it has said. */
async function watched(site: Site, page = site.page(), ref: Parameters<Page['watch']>[1] = { run, token: 'esr1.0' }) {
  const watch: RunWatch = page.watch('letter', ref);
  const seen: RunSnapshot[] = [];
  const stop = watch.subscribe(() => seen.push(watch.get()));
  stops.push(stop);
  await settled();
  return { watch, seen, stop, page };
}

describe('a watch', () => {
  it('shows the run as it is, then what happens, then what came of it', async () => {
    const site = new Site();
    const { watch, seen } = await watched(site);
    expect(watch.get()).toMatchObject({ phase: 'pending', state: 'running', link: 'live' });
    expect(site.resumedAt).toEqual(['c1']);
    site.progress(2, { done: 1 });
    site.step(3, 'completed', 'draft');
    await settled();
    expect(watch.get()).toMatchObject({
      progress: { done: 1 },
      steps: [{ path: 'draft', kind: 'step', status: 'completed' }],
    });
    site.end('succeeded');
    await settled();
    expect(watch.get()).toMatchObject({
      phase: 'succeeded',
      state: 'succeeded',
      link: 'off',
      result: { text: 'done' },
    });
    expect(new Set(seen).size).toBe(seen.length);
    expect(site.tokens.every((token) => token === 'Bearer esr1.0')).toBe(true);
    expect(site.streams).toEqual([]);
  });

  it('of a run that has ended opens no stream', async () => {
    const site = new Site();
    site.state = 'failed';
    const { watch } = await watched(site);
    expect(watch.get()).toMatchObject({
      phase: 'failed',
      state: 'failed',
      error: { code: 'RUN_FAILED', message: 'it broke' },
    });
    expect(site.asked).not.toContain('stream');
  });

  it('is one for all who look, with one connection, and lives on for a moment without any', async () => {
    const site = new Site();
    const { watch, stop, page } = await watched(site);
    expect(page.watch('letter', run)).toBe(watch);
    const second = watch.subscribe(() => undefined);
    stop();
    stop();
    second();
    await site.pace.pass(500);
    stops.push(watch.subscribe(() => undefined));
    await site.pace.pass(5_000);
    expect([site.streams.length, site.asked.filter((what) => what === 'stream').length]).toEqual([1, 1]);
    for (const end of stops.splice(0)) end();
    await site.pace.pass(1_000);
    expect([site.streams.length, watch.get().link, site.attention.listeners.size]).toEqual([0, 'off', 0]);
    stops.push(watch.subscribe(() => undefined));
    await settled();
    expect([site.streams.length, watch.get().link]).toEqual([1, 'live']);
  });

  it('goes on after the last event it has seen, and never gives up while the server is away', async () => {
    const site = new Site();
    const { watch } = await watched(site);
    site.progress(2, { done: 1 });
    await settled();
    site.faults.set('stream', 'down');
    site.cut();
    for (let i = 0; i < 30; i++) {
      await site.pace.pass(15_000);
      expect(watch.get()).toMatchObject({ phase: 'pending', link: 'reconnecting', progress: { done: 1 } });
    }
    // The pauses grow up to a bound.
    expect(site.pace.pauses.slice(0, 4)).toEqual([250, 500, 1_000, 2_000].slice(0, 4));
    expect(Math.max(...site.pace.pauses)).toBe(7_500);
    site.faults.clear();
    await site.pace.pass(15_000);
    expect([watch.get().link, site.resumedAt.at(-1)]).toEqual(['live', 'c2']);
    await site.pace.pass(5_000);
    site.faults.set('stream', [503, 'SHUTTING_DOWN']);
    site.cut();
    await settled();
    expect(site.pace.pauses.at(-1)).toBe(250);
  });

  it('tries again at once when the page gets its network back', async () => {
    const site = new Site();
    const { watch } = await watched(site);
    site.faults.set('stream', 'down');
    site.cut();
    await settled();
    site.faults.clear();
    site.attention.show(false);
    await settled();
    expect(watch.get().link).toBe('live');
  });

  it('lets go of the line of a page in the background after a while, and takes it up again', async () => {
    const site = new Site();
    const { watch } = await watched(site);
    site.attention.show(true);
    await site.pace.pass(9_999);
    expect(watch.get().link).toBe('live');
    site.attention.show(false);
    site.attention.show(true);
    await site.pace.pass(9_999);
    expect(watch.get().link).toBe('live');
    await site.pace.pass(1);
    expect([watch.get().link, site.streams.length]).toEqual(['paused', 0]);
    await site.pace.pass(3_600_000);
    expect(site.streams).toHaveLength(0);
    site.attention.show(false);
    await settled();
    expect([watch.get().link, site.resumedAt.at(-1)]).toEqual(['live', 'c1']);
  });

  it('gets a new token by the session when its own has expired', async () => {
    const site = new Site();
    const { watch } = await watched(site);
    site.expired.add('esr1.0');
    site.cut();
    await site.pace.pass(300);
    expect(watch.get().link).toBe('live');
    expect(site.renewals).toBe(1);
    expect(watch.ref.token).toBe('esr1.1');
    expect(site.tokens.at(-1)).toBe('Bearer esr1.1');
  });

  it('does not ask for tokens without end where none is taken', async () => {
    const site = new Site();
    site.faults.set('view', [401, 'READ_TOKEN_INVALID']);
    const { watch } = await watched(site);
    expect(watch.get()).toMatchObject({ phase: 'unavailable', error: { code: 'READ_TOKEN_INVALID' } });
    expect(site.renewals).toBe(1);
  });

  it('says that its token has expired where there is no session, and goes on with a new one that it is given', async () => {
    const site = new Site();
    site.faults.set('view', [401, 'READ_TOKEN_EXPIRED']).set('tokens', [401, 'UNAUTHENTICATED']);
    const { watch, page } = await watched(site);
    expect(watch.get()).toMatchObject({ phase: 'unavailable', error: { code: 'READ_TOKEN_EXPIRED' }, link: 'off' });
    site.faults.clear();
    page.watch('letter', { run, token: 'esr1.given' });
    await settled();
    expect(watch.get()).toMatchObject({ phase: 'pending', link: 'live' });
    expect(site.tokens.at(-1)).toBe('Bearer esr1.given');
  });

  it('waits where the server is away just when a token is due', async () => {
    const site = new Site();
    site.expired.add('esr1.0');
    site.faults.set('tokens', [503, 'SHUTTING_DOWN']);
    const { watch } = await watched(site);
    for (let i = 0; i < 5; i++) await site.pace.pass(2_000);
    expect(watch.get().link).toBe('reconnecting');
    site.faults.clear();
    await site.pace.pass(15_000);
    expect(watch.get().link).toBe('live');
  });

  it('asks for a token first where only the id is known', async () => {
    const site = new Site();
    const { watch } = await watched(site, site.page(), run);
    expect(site.asked[0]).toBe('tokens');
    expect(watch.get().link).toBe('live');
  });

  it('says so where there is no such run', async () => {
    const site = new Site();
    site.faults.set('view', [404, 'RUN_NOT_FOUND']);
    const { watch } = await watched(site);
    expect(watch.get()).toMatchObject({ phase: 'unavailable', error: { code: 'RUN_NOT_FOUND' } });
    await expect(watch.ended()).resolves.toMatchObject({ phase: 'unavailable' });
  });

  it('begins anew where its cursor is no longer of this run', async () => {
    const site = new Site();
    const { watch } = await watched(site);
    site.faults.set('stream', [400, 'CURSOR_INVALID']);
    site.cut();
    for (let i = 0; i < 5; i++) await site.pace.pass(300);
    expect(site.asked.length).toBeLessThan(12);
    site.faults.clear();
    await site.pace.pass(10_000);
    expect(watch.get().link).toBe('live');
  });

  it('goes on where a run that had failed was sent back to work before its end was read', async () => {
    const site = new Site();
    const { watch } = await watched(site);
    site.send('end', { state: 'failed' }, 'c2');
    site.cut();
    for (let i = 0; i < 3; i++) await site.pace.pass(1_000);
    expect(watch.get()).toMatchObject({ phase: 'pending', link: 'live', state: 'running' });
  });

  it('with events reads them from the first, and keeps the latest', async () => {
    const site = new Site();
    const watch = site.page({ eventsMax: 2 }).watchEvents('letter', { run, token: 'esr1.0' });
    stops.push(watch.subscribe(() => undefined));
    await settled();
    expect(site.resumedAt).toEqual([null]);
    for (const seq of [1, 2, 3]) site.progress(seq, seq);
    await settled();
    expect(watch.events().events.map(({ seq }) => seq)).toEqual([2, 3]);
    expect(watch.events().dropped).toBe(1);
    expect(watch.get().progress).toBe(3);
  });

  it('shares its connection with whoever wants the events, the steps or a stream', async () => {
    const site = new Site();
    const page = site.page();
    const ref = { run, token: 'esr1.0' };
    const watch = page.watch('letter', ref);
    expect(page.watchEvents('letter', ref)).toBe(watch);
    for (let i = 0; i < 3; i++) stops.push(watch.subscribe(() => undefined));
    await settled();
    expect([site.streams.length, site.resumedAt]).toEqual([1, [null]]);
  });

  it('that is at work already begins anew, once, for the first who wants the events', async () => {
    const site = new Site();
    site.events = 2;
    const { watch, page, seen } = await watched(site);
    expect(site.resumedAt).toEqual(['c2']);
    for (let i = 0; i < 2; i++) stops.push(page.watchEvents('letter', run).subscribe(() => undefined));
    await settled();
    expect([site.streams.length, site.resumedAt]).toEqual([1, ['c2', null]]);
    const before = seen.length;
    site.step(1, 'started', 'draft');
    site.step(2, 'completed', 'draft');
    await settled();
    // The view had said where these two have led to: the run is not played through once more.
    expect(watch.events().events.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(watch.get().steps).toEqual([]);
    expect(seen.slice(before).every(({ steps }) => steps.length === 0)).toBe(true);
    site.progress(3, 'new');
    await settled();
    expect(watch.get().progress).toBe('new');
    site.cut();
    await site.pace.pass(1_000);
    expect(site.resumedAt).toEqual(['c2', null, 'c3']);
    expect(watch.events().events.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  it('of a run that has ended reads its events where they are wanted, and stays as it is', async () => {
    const site = new Site();
    site.state = 'succeeded';
    const { watch, page } = await watched(site);
    const last = watch.get();
    expect(last.phase).toBe('succeeded');
    stops.push(page.watchEvents('letter', run).subscribe(() => undefined));
    await settled();
    site.progress(1, 'then');
    site.end('succeeded');
    await settled();
    expect(watch.events().events.map(({ seq }) => seq)).toEqual([1]);
    expect(watch.get()).toBe(last);
    stops.push(page.watchEvents('letter', run).subscribe(() => undefined));
    await settled();
    expect(site.resumedAt).toEqual([null]);
  });

  it('resolves with the end for whoever waits, or gives up with the signal', async () => {
    const site = new Site();
    const { watch } = await watched(site);
    const ended = watch.ended();
    const given = new AbortController();
    const left = watch.ended(given.signal);
    given.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    site.end('succeeded');
    await expect(ended).resolves.toMatchObject({ phase: 'succeeded' });
  });
});

describe('a page', () => {
  it('refuses options that it does not know, all faults at once', () => {
    expect(() => createPage({ hiden: '1s', hidden: 'soon', eventsMax: 0 } as never)).toThrow(
      /hiden is not an option.*eventsMax.*hidden is not a duration/s,
    );
  });

  it('remembers runs by name, and tells who shows them', () => {
    const kept = new Map<string, string>([
      ['eventspine:old', '{"run":"run_9","token":"t"}'],
      ['eventspine:bad', '{"no":1}'],
    ]);
    const storage = {
      getItem: (name: string) => kept.get(name) ?? null,
      setItem: (name: string, value: string) => void kept.set(name, value),
      removeItem: (name: string) => void kept.delete(name),
    };
    const { remembered } = createPage({ storage });
    expect(remembered.get('old')).toEqual({ run: 'run_9', token: 't' });
    expect(remembered.get('old')).toBe(remembered.get('old'));
    expect(remembered.get('bad')).toBeNull();
    let told = 0;
    const stop = remembered.subscribe('new', () => told++);
    remembered.set('new', { run: 'run_1' });
    expect([told, kept.get('eventspine:new')]).toEqual([1, '{"run":"run_1"}']);
    remembered.set('new', null);
    stop();
    remembered.set('new', { run: 'run_2' });
    expect(told).toBe(2);
  });

  it('knows after a reload which start it had not heard of yet, and asks again under the same key', async () => {
    const kept = new Map<string, string>();
    const storage = {
      getItem: (name: string) => kept.get(name) ?? null,
      setItem: (name: string, value: string) => void kept.set(name, value),
      removeItem: (name: string) => void kept.delete(name),
    };
    const keys: (string | null)[] = [];
    let answer: (response: Response) => void = () => undefined;
    const made = (): Page =>
      createPage({
        url: 'http://app.example.com/spine',
        storage,
        fetch: (input, init) => {
          keys.push(new Request(input, init).headers.get('idempotency-key'));
          return new Promise((resolve) => (answer = resolve));
        },
      });
    void made().start('letter', { to: 'Ada' }, { remember: 'letter' });
    await settled();
    const reloaded = made();
    const begun = reloaded.remembered.begun('letter');
    expect(begun).toMatchObject({ workflow: 'letter', input: { to: 'Ada' } });
    const again = reloaded.start('letter', begun?.input, { remember: 'letter', idempotencyKey: begun?.key ?? '' });
    await settled();
    answer(
      Response.json(
        { id: run, state: 'queued', repeated: true, readToken: { token: 't', expiresAt: '' } },
        { status: 202 },
      ),
    );
    expect(await again).toMatchObject({ run, token: 't' });
    expect(keys[1]).toBe(keys[0]);
    expect(reloaded.remembered.begun('letter')).toBeNull();
    expect(made().remembered.get('letter')).toMatchObject({ run });
  });

  it('works where nothing can be stored', () => {
    const forbidden = (): never => {
      throw new Error('forbidden');
    };
    const { remembered } = createPage({ storage: { getItem: forbidden, setItem: forbidden, removeItem: forbidden } });
    expect(remembered.get('a')).toBeNull();
    remembered.set('a', { run: 'run_1' });
    expect(remembered.get('a')).toEqual({ run: 'run_1' });
  });
});
