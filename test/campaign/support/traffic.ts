/**
 * The load of a campaign and its ledger: clients that start runs at any server and ask the next one where nobody answers,
 * readers that follow runs from server to server. Runs in the process of the test, which no fault touches.
 */
import { cpus, loadavg } from 'node:os';
import type { DoctorView, RunEventView, RunView } from '../../../src/protocol/http.js';
import { Asking, inParallel, pause } from './asking.js';
import type { Acknowledgement, Evidence, Execution, Reading, Standstill } from './evidence.js';

export interface TrafficOptions {
  readonly urls: readonly string[];
  /** Clients that work side by side. */
  readonly lanes?: number;
  /** Pause of a client between two starts. */
  readonly pauseMs?: number;
  /** One of so many runs is followed. */
  readonly followEvery?: number;
}

/** What happened on the way, for the report. */
export interface TrafficCounts {
  /** Runs that were acknowledged. */
  readonly acknowledged: number;
  /** Requests without a usable answer; whether they were carried out is not known. */
  readonly unanswered: number;
  /** Connections of stream readers. */
  readonly streamConnections: number;
  /** The longest that a start had to wait for its 202, over all servers. */
  readonly longestStartMs: number;
}

/**
 * How long a run may take. Servers under test take who is silent for 1.5 s for dead, so that on a machine with ten times the work
 * that it can do sessions die, and what they had under way is begun again, more often than anything comes to its end.
 */
const patienceMs = 180_000;

export class Traffic {
  readonly acknowledged: Acknowledgement[] = [];
  readonly #options: Required<TrafficOptions>;
  readonly #asking: Asking;
  readonly #lanes: Promise<void>[] = [];
  readonly #readings: Promise<Reading>[] = [];
  #running = true;
  #streamConnections = 0;
  #roundTrips = 0;
  #held = false;
  #starting = 0;
  #endedUpTo = 0;

  constructor(options: TrafficOptions) {
    this.#options = { lanes: 2, pauseMs: 40, followEvery: 8, ...options };
    this.#asking = new Asking(options.urls);
    for (let lane = 0; lane < this.#options.lanes; lane++) this.#lanes.push(this.#work(lane));
    // Whoever waits for the end hears of it; until then it must not count as unhandled.
    for (const lane of this.#lanes) lane.catch(() => undefined);
  }

  get counts(): TrafficCounts {
    return {
      acknowledged: this.acknowledged.length,
      unanswered: this.#asking.unanswered,
      streamConnections: this.#streamConnections,
      longestStartMs: Math.round(this.#asking.longestStartMs),
    };
  }

  /** Resolves when so many more runs were acknowledged. */
  async progress(more: number, ms = 60_000): Promise<void> {
    const target = this.acknowledged.length + more;
    const until = performance.now() + ms;
    while (this.acknowledged.length < target) {
      if (performance.now() > until) throw new Error(`no ${more} starts within ${ms} ms`);
      await pause(10);
    }
  }

  /** Starts one run and waits for its end, timer and all. Resolves with how long that took, ms. */
  async roundTrip(ms = patienceMs): Promise<number> {
    const begun = performance.now();
    // Runs of every third value sleep.
    const value = 3 * this.#roundTrips++;
    const key = `trip-${value}`;
    const run = await this.#asking.start('chain', key, { value });
    this.acknowledged.push({ key, run, value });
    for (;;) {
      const view = (await this.#asking.get(`/v1/runs/${run}`)) as RunView | null;
      if (view?.endedAt !== undefined && view.endedAt !== null) return performance.now() - begun;
      if (performance.now() - begun > ms)
        throw new Error(`${run} is ${view?.state} after ${ms} ms: ${JSON.stringify(view?.waitingFor)}; ${load()}`);
      await pause(20);
    }
  }

  /** Holds new starts back until everything that was started has ended, and until `resume` is called. */
  async quiet(): Promise<void> {
    this.#held = true;
    while (this.#starting > 0) await pause(10);
    for (const { run } of this.acknowledged.slice(this.#endedUpTo)) {
      const until = performance.now() + patienceMs;
      for (;;) {
        const view = (await this.#asking.get(`/v1/runs/${run}`)) as RunView | null;
        if (view === null || view.endedAt !== null) break;
        if (performance.now() > until)
          throw new Error(`${run} is ${view.state}: ${JSON.stringify(view.waitingFor)}; ${load()}`);
        await pause(20);
      }
    }
    this.#endedUpTo = this.acknowledged.length;
  }

  resume(): void {
    this.#held = false;
  }

  /** No more starts. Resolves when those under way are answered. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#lanes);
  }

  /** Stops, waits until everything has ended, and collects what the checks want. `ms` bounds the wait. */
  async evidence(
    outside: { executions: () => Execution[]; standstills: readonly Standstill[]; clocksAgree?: boolean },
    ms = 90_000,
  ): Promise<Evidence> {
    await this.stop();
    const views = new Map<string, RunView>();
    const outputs = new Map<string, unknown>();
    const histories = new Map<string, readonly RunEventView[]>();
    const until = performance.now() + ms;
    // What the system does not know is not waited for.
    await inParallel(this.acknowledged, 8, async ({ run }) => {
      for (;;) {
        const view = (await this.#asking.get(`/v1/runs/${run}`)) as RunView | null;
        if (view !== null) views.set(run, view);
        if (view === null || view.endedAt !== null || performance.now() > until) break;
        await pause(50);
      }
      if (!views.has(run)) return;
      const page = (await this.#asking.get(`/v1/runs/${run}/history?limit=500`)) as { items: RunEventView[] };
      histories.set(run, page.items);
      const last = page.items.at(-1);
      if (last?.type === 'run.succeeded') outputs.set(run, last.payload);
    });
    const askedAgain: Acknowledgement[] = [];
    await inParallel(sample(this.acknowledged, 100), 4, async ({ key, value }) => {
      askedAgain.push({ key, value, run: await this.#asking.start('chain', key, { value }) });
    });
    const late = pause(20_000).then(() => null);
    const readings: Reading[] = [];
    for (const reading of this.#readings) {
      const done = await Promise.race([reading, late]);
      if (done !== null) readings.push(done);
      else readings.push({ run: 'unknown', seqs: [], ended: false, gaps: 0 });
    }
    return {
      acknowledged: this.acknowledged,
      askedAgain,
      stored: await this.#listed(),
      views,
      outputs,
      histories,
      executions: outside.executions(),
      standstills: outside.standstills,
      readings,
      doctor: (await this.#asking.get('/v1/doctor')) as DoctorView,
      clocksAgree: outside.clocksAgree ?? true,
    };
  }

  async #work(lane: number): Promise<void> {
    for (let value = 0; this.#running; value++) {
      while (this.#held) await pause(10);
      const key = `lane${lane}-${value}`;
      this.#starting += 1;
      const run = await this.#asking.start('chain', key, { value });
      this.#starting -= 1;
      this.acknowledged.push({ key, run, value });
      if (value % this.#options.followEvery === 0) this.#readings.push(this.#follow(run));
      await pause(this.#options.pauseMs);
    }
  }

  /** Follows a run to its end: a few events at one server, the next at another. */
  async #follow(run: string): Promise<Reading> {
    const seqs: number[] = [];
    let cursor: string | null = null;
    let gaps = 0;
    for (;;) {
      this.#streamConnections += 1;
      const stop = new AbortController();
      let silence = setTimeout(() => stop.abort(), 10_000);
      try {
        const answer: Response = await fetch(`${this.#asking.server()}/v1/runs/${run}/stream`, {
          headers: cursor === null ? {} : { 'last-event-id': cursor },
          signal: stop.signal,
        });
        if (answer.status === 204) return { run, seqs, ended: true, gaps };
        if (answer.status === 404 && !this.#running) return { run, seqs, ended: false, gaps };
        if (answer.status !== 200 || answer.body === null) throw new Error(String(answer.status));
        let left = 1 + Math.floor(Math.random() * 6);
        for await (const { id, event, data } of serverSentEvents(answer.body)) {
          clearTimeout(silence);
          silence = setTimeout(() => stop.abort(), 10_000);
          if (event === 'end') return { run, seqs, ended: true, gaps };
          if (event === 'gap') gaps += 1;
          if (event !== 'event') continue;
          seqs.push((JSON.parse(data) as { seq: number }).seq);
          if (id !== null) cursor = id;
          left -= 1;
          if (left === 0) break;
        }
      } catch {
        await pause(100);
      } finally {
        clearTimeout(silence);
        stop.abort();
      }
    }
  }

  async #listed(): Promise<string[]> {
    const ids: string[] = [];
    let cursor: string | null = null;
    do {
      const page = (await this.#asking.get(
        `/v1/runs?limit=200${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
      )) as { items: { id: string }[]; next: string | null };
      ids.push(...page.items.map(({ id }) => id));
      cursor = page.next;
    } while (cursor !== null);
    return ids;
  }
}

interface ServerSentEvent {
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

async function* serverSentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const fields = new Map(
        rest
          .slice(0, end)
          .split('\n')
          .map((line): [string, string] => {
            const colon = line.indexOf(':');
            return [line.slice(0, colon), line.slice(colon + 1).trimStart()];
          }),
      );
      rest = rest.slice(end + 2);
      const event = fields.get('event');
      if (event !== undefined) yield { id: fields.get('id') ?? null, event, data: fields.get('data') ?? '' };
    }
  }
}

function load(): string {
  const [minute = 0] = loadavg();
  return `the load is ${minute.toFixed(1)} on ${cpus().length} processors`;
}

function sample<T>(items: readonly T[], size: number): T[] {
  const step = Math.max(1, Math.floor(items.length / size));
  return items.filter((_, i) => i % step === 0);
}
