/**
 * A store behind a simulated disk and wire: every call takes time, may be refused, may be carried out and yet answered
 * with an error, and dies with its process. Writes take effect in the order in which they were handed over; a crash
 * lets a prefix of those under way take effect and loses the rest.
 *
 * Invariant: what was answered as applied has taken effect, in the order in which it was handed over.
 */
import { SpineError } from '../../core/errors.js';
import type {
  ClaimedTask,
  ClaimRequest,
  LeaseKey,
  NewSession,
  Outcome,
  SessionBeat,
  SessionRow,
  Store,
  StoreListener,
  Transition,
} from '../../store/index.js';
import type { FaultMeter } from './fault-meter.js';
import type { Prng } from './prng.js';
import type { SimProcess } from './process.js';
import type { World } from './world.js';

/** How the store misbehaves now. Probabilities are for one call. */
export interface StoreWeather {
  /** Refused before anything happens. */
  busy: number;
  /** Carried out, and answered with an error. */
  ambiguous: number;
  /** Takes seconds. */
  slow: number;
  /** The server dies while the write is under way. */
  crash: number;
}

/** The way of one server to the store; cut = nothing goes through until it is mended. */
export interface StoreReach {
  cut: boolean;
  /** Probability that news of neighbours is lost; the feed must be read all the same. */
  newsLost: number;
}

/** What an observer is told when an action has taken effect on the data. */
export interface StoreObserver {
  applied(transitions: readonly Transition[], outcomes: readonly Outcome[]): void;
  claimed(claimed: readonly ClaimedTask[], epoch: number): void;
  /** A session was opened, taken or closed by the opening with this epoch. */
  owned(what: 'open' | 'take' | 'close', session: string, epoch: number): void;
  /** A duty was asked for. */
  dutyAsked(duty: string, epoch: number, held: boolean, ttlMs: number): void;
  /** The opening is over in good order: it has given up its duties. */
  closed(epoch: number): void;
  released(leases: readonly LeaseKey[], count: number): void;
}

interface Write {
  readonly execute: () => Promise<void>;
}

/** One handle on the data, as one life of a server has it. */
export class SimStore implements Store {
  readonly name: string;
  readonly shared: boolean;
  readonly epoch: number;
  readonly failed: Promise<Error>;
  #inner: Store;
  readonly #world: World;
  readonly #process: SimProcess;
  readonly #prng: Prng;
  readonly #weather: StoreWeather;
  readonly #reach: StoreReach;
  readonly #meter: FaultMeter;
  readonly #observer: StoreObserver;
  readonly #onCrash: () => void;
  readonly #lateTo: (() => Store) | null;
  readonly #writes: Write[] = [];
  readonly #deafen = new Set<() => void>();
  #lastWriteAtMs = 0;
  #crashed = false;

  constructor(options: {
    readonly inner: Store;
    readonly world: World;
    readonly process: SimProcess;
    readonly weather: StoreWeather;
    readonly reach: StoreReach;
    readonly meter: FaultMeter;
    readonly observer: StoreObserver;
    /** Kills the server. */
    readonly onCrash: () => void;
    /** A planted bug: what a crash should have lost is written later, to the store as it is then. */
    readonly lateTo?: () => Store;
  }) {
    this.#inner = options.inner;
    this.#world = options.world;
    this.#process = options.process;
    this.#weather = options.weather;
    this.#reach = options.reach;
    this.#meter = options.meter;
    this.#observer = options.observer;
    this.#onCrash = options.onCrash;
    this.#lateTo = options.lateTo ?? null;
    this.#prng = options.world.prng.fork(`store/${options.inner.epoch}`);
    this.name = options.inner.name;
    this.shared = options.inner.shared;
    this.epoch = options.inner.epoch;
    this.failed = options.inner.failed;
  }

  now(): number {
    return this.#inner.now();
  }

  /** The process has died: a prefix of what is under way takes effect now, the rest never does. */
  crash(): void {
    this.#crashed = true;
    for (const deafen of this.#deafen) deafen();
    const kept = this.#prng.int(0, this.#writes.length);
    const writes = this.#writes.splice(0);
    for (const write of writes.slice(0, kept)) {
      this.#meter.count('crash after commit');
      void write.execute();
    }
    const lateTo = this.#lateTo;
    if (lateTo === null) return;
    for (const write of writes.slice(kept))
      this.#world.after(null, this.#prng.between(1_000, 9_000), 'late write', () => {
        this.#meter.count('late write');
        this.#inner = lateTo();
        void write.execute();
      });
  }

  apply(transitions: readonly Transition[]): Promise<Outcome[]> {
    return this.#write('apply', async () => {
      const outcomes = await this.#inner.apply(transitions);
      this.#observer.applied(transitions, outcomes);
      return outcomes;
    });
  }

  claim(request: ClaimRequest): Promise<ClaimedTask[]> {
    return this.#write('claim', async () => {
      const claimed = await this.#inner.claim(request);
      this.#observer.claimed(claimed, this.epoch);
      return claimed;
    });
  }

  release(leases: readonly LeaseKey[]): Promise<number> {
    return this.#write('release', async () => {
      const count = await this.#inner.release(leases);
      this.#observer.released(leases, count);
      return count;
    });
  }

  promoteDue(limit: number): Promise<number> {
    return this.#write('promoteDue', () => this.#inner.promoteDue(limit));
  }

  openSession(session: NewSession): Promise<void> {
    return this.#write('openSession', async () => {
      await this.#inner.openSession(session);
      this.#observer.owned('open', session.session, this.epoch);
    });
  }

  takeSession(session: string): Promise<SessionRow | null> {
    return this.#write('takeSession', async () => {
      const row = await this.#inner.takeSession(session);
      if (row !== null) this.#observer.owned('take', session, this.epoch);
      return row;
    });
  }

  holdDuty(duty: string, ttlMs: number): Promise<boolean> {
    return this.#write('holdDuty', async () => {
      const held = await this.#inner.holdDuty(duty, ttlMs);
      this.#observer.dutyAsked(duty, this.epoch, held, ttlMs);
      return held;
    });
  }

  /** What neighbours do is heard of some time later, while the process lives and its line to the store stands. */
  watch(listener: StoreListener): () => void {
    const tell = (what: string, act: () => void): void => {
      if (this.#reach.cut || (this.#reach.newsLost > 0 && this.#prng.chance(this.#reach.newsLost)))
        return this.#meter.count('news lost');
      this.#process.after(this.#latency(), what, act);
    };
    const stop = this.#inner.watch({
      work: (queues) => tell('neighbours have work', () => listener.work(queues)),
      moved: () => tell('neighbours have moved', () => listener.moved()),
    });
    this.#deafen.add(stop);
    return () => {
      this.#deafen.delete(stop);
      stop();
    };
  }

  beat(beats: readonly SessionBeat[]): Promise<string[]> {
    return this.#write('beat', () => this.#inner.beat(beats));
  }

  closeSession(session: string): Promise<void> {
    return this.#write('closeSession', async () => {
      await this.#inner.closeSession(session);
      this.#observer.owned('close', session, this.epoch);
    });
  }

  saveManifest: Store['saveManifest'] = (row) => this.#write('saveManifest', () => this.#inner.saveManifest(row));
  putBlob: Store['putBlob'] = (tenant, hash, bytes) =>
    this.#write('putBlob', () => this.#inner.putBlob(tenant, hash, bytes));
  expire: Store['expire'] = (limit) => this.#write('expire', () => this.#inner.expire(limit));

  listSessions: Store['listSessions'] = () => this.#read('listSessions', () => this.#inner.listSessions());
  listLeases: Store['listLeases'] = (query) => this.#read('listLeases', () => this.#inner.listLeases(query));
  dueTimers: Store['dueTimers'] = (limit) => this.#read('dueTimers', () => this.#inner.dueTimers(limit));
  nextDueAt: Store['nextDueAt'] = () => this.#read('nextDueAt', () => this.#inner.nextDueAt());
  dueSchedules: Store['dueSchedules'] = (limit) => this.#read('dueSchedules', () => this.#inner.dueSchedules(limit));
  readSchedule: Store['readSchedule'] = (tenant, name) =>
    this.#read('readSchedule', () => this.#inner.readSchedule(tenant, name));
  listSchedules: Store['listSchedules'] = (query) =>
    this.#read('listSchedules', () => this.#inner.listSchedules(query));
  readRun: Store['readRun'] = (tenant, run) => this.#read('readRun', () => this.#inner.readRun(tenant, run));
  readEvents: Store['readEvents'] = (query) => this.#read('readEvents', () => this.#inner.readEvents(query));
  readHistories: Store['readHistories'] = (keys) => this.#read('readHistories', () => this.#inner.readHistories(keys));
  listRuns: Store['listRuns'] = (query) => this.#read('listRuns', () => this.#inner.listRuns(query));
  readTasks: Store['readTasks'] = (tenant, run) => this.#read('readTasks', () => this.#inner.readTasks(tenant, run));
  readTimers: Store['readTimers'] = (tenant, run) =>
    this.#read('readTimers', () => this.#inner.readTimers(tenant, run));
  readEntries: Store['readEntries'] = (query) => this.#read('readEntries', () => this.#inner.readEntries(query));
  readFeed: Store['readFeed'] = (query) => this.#read('readFeed', () => this.#inner.readFeed(query));
  readFeedKeys: Store['readFeedKeys'] = (query) => this.#read('readFeedKeys', () => this.#inner.readFeedKeys(query));
  feedHead: Store['feedHead'] = () => this.#read('feedHead', () => this.#inner.feedHead());
  listTopics: Store['listTopics'] = (tenant) => this.#read('listTopics', () => this.#inner.listTopics(tenant));
  listPartitions: Store['listPartitions'] = (query) =>
    this.#read('listPartitions', () => this.#inner.listPartitions(query));
  readDedupe: Store['readDedupe'] = (tenant, scope, key) =>
    this.#read('readDedupe', () => this.#inner.readDedupe(tenant, scope, key));
  readDedupes: Store['readDedupes'] = (tenant, keys) =>
    this.#read('readDedupes', () => this.#inner.readDedupes(tenant, keys));
  listDeadLetters: Store['listDeadLetters'] = (query) =>
    this.#read('listDeadLetters', () => this.#inner.listDeadLetters(query));
  readDeadLetter: Store['readDeadLetter'] = (tenant, id) =>
    this.#read('readDeadLetter', () => this.#inner.readDeadLetter(tenant, id));
  readTally: Store['readTally'] = () => this.#read('readTally', () => this.#inner.readTally());
  queueStats: Store['queueStats'] = () => this.#read('queueStats', () => this.#inner.queueStats());
  readBlob: Store['readBlob'] = (tenant, hash) => this.#read('readBlob', () => this.#inner.readBlob(tenant, hash));
  listManifests: Store['listManifests'] = () => this.#read('listManifests', () => this.#inner.listManifests());
  check: Store['check'] = (limit) => this.#read('check', () => this.#inner.check(limit));

  /** Waits for what was handed over before. */
  close(): Promise<void> {
    return this.#write(
      'close',
      async () => {
        await this.#inner.close();
        this.#observer.closed(this.epoch);
      },
      true,
    );
  }

  #write<T>(what: string, act: () => Promise<T>, sure = false): Promise<T> {
    const fate = sure ? 'fine' : this.#fate();
    if (fate === 'busy') return this.#refused(what);
    return new Promise((resolve, reject) => {
      const answerMs = this.#latency();
      const write: Write = {
        execute: async () => {
          if (this.#reach.cut) return this.#unanswered(what, reject);
          let answer: () => void;
          try {
            const result = await act();
            answer = () => resolve(result);
          } catch (error) {
            answer = () => reject(error instanceof Error ? error : new Error(String(error)));
          }
          if (fate === 'ambiguous') answer = () => reject(new SpineError('STORE_UNREACHABLE', {}));
          if (this.#crashed) return;
          // A line that is cut by then swallows the answer of what was carried out.
          this.#process.after(answerMs, `${what} answered`, () =>
            this.#reach.cut ? this.#unanswered(what, reject) : answer(),
          );
        },
      };
      this.#writes.push(write);
      const wishedAtMs = this.#world.nowMs + this.#latency() + (fate === 'slow' ? this.#prng.between(200, 3_000) : 0);
      this.#lastWriteAtMs = Math.max(this.#lastWriteAtMs, wishedAtMs);
      // The disk works on while the process is stopped. Which of the writes is first is decided by their order alone.
      this.#world.after(null, this.#lastWriteAtMs - this.#world.nowMs, `disk ${what}`, () => {
        void this.#writes.shift()?.execute();
      });
      // Before the commit, after it, or before the answer.
      if (this.#weather.crash > 0 && this.#prng.chance(this.#weather.crash))
        this.#world.after(this.#process, this.#prng.next() * 2 * latencyMsMax, 'crash in commit', this.#onCrash);
    });
  }

  #read<T>(what: string, act: () => Promise<T>): Promise<T> {
    const fate = this.#fate();
    if (fate === 'busy' || fate === 'ambiguous') return this.#refused(what);
    return new Promise((resolve, reject) => {
      const answerMs = this.#latency();
      const slowMs = fate === 'slow' ? this.#prng.between(200, 3_000) : 0;
      this.#world.after(null, this.#latency() + slowMs, `read ${what}`, () => {
        if (this.#crashed) return;
        if (this.#reach.cut) return this.#unanswered(what, reject);
        act().then(
          (result) =>
            this.#process.after(answerMs, `${what} read`, () =>
              this.#reach.cut ? this.#unanswered(what, reject) : resolve(result),
            ),
          (error: unknown) =>
            this.#process.after(answerMs, `${what} failed`, () =>
              reject(error instanceof Error ? error : new Error(String(error))),
            ),
        );
      });
    });
  }

  /** Nothing comes back: the call hangs until its time is up. */
  #unanswered(what: string, reject: (error: Error) => void): void {
    if (this.#crashed) return;
    this.#process.after(this.#prng.between(500, 5_000), `${what} unanswered`, () =>
      reject(new SpineError('STORE_UNREACHABLE', {})),
    );
  }

  #refused(what: string): Promise<never> {
    return new Promise((_, reject) => {
      this.#process.after(this.#latency(), `${what} refused`, () => reject(new SpineError('STORE_BUSY', {})));
    });
  }

  #fate(): 'fine' | 'busy' | 'ambiguous' | 'slow' {
    const { busy, ambiguous, slow } = this.#weather;
    if (busy + ambiguous + slow === 0) return 'fine';
    const drawn = this.#prng.next();
    if (drawn < busy) return this.#counted('busy');
    if (drawn < busy + ambiguous) return this.#counted('ambiguous');
    if (drawn < busy + ambiguous + slow) return this.#counted('slow');
    return 'fine';
  }

  #counted<F extends 'busy' | 'ambiguous' | 'slow'>(fate: F): F {
    this.#meter.count(`store ${fate}`);
    return fate;
  }

  #latency(): number {
    return this.#prng.next() * latencyMsMax;
  }
}

/** Half of the way to the data and back, at most, ms. */
const latencyMsMax = 2;
