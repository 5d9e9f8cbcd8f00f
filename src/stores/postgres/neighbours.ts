/**
 * News between nodes. What this node commits is gathered for a moment and told by one NOTIFY on a direct connection of
 * its own, never inside a write transaction (a notifying transaction takes a lock of the whole database at its commit).
 * Where that connection is not to be had, or a pooler swallows what is said on it, and underneath in any case, the
 * database is asked, the less often the less is new.
 *
 * Invariant: news may come late, twice, or about what is done already; none is needed for anything to be right.
 */
import type { StoreListener } from '../../store/index.js';
import type { Database } from './database.js';
import type { DirectClient } from './driver.js';
import { int, text } from './rows.js';

/** News are gathered for this long before they are told. */
const tellAfterMs = 20;
/** The database is asked after this while there are news, and ever less often while there are none. */
const askMsMin = 50;
const askMsMax = 2_000;
/** The same while news are heard by themselves. */
const askWhileHearingMs = 2_000;
/** A connection on which we do not hear ourselves within this is of no use. */
const selfTestMs = 2_000;
const reconnectMs = 5_000;
/** A pooler does not go away by itself. */
const reconnectPooledMs = 60_000;
/** PostgreSQL refuses payloads of 8000 bytes; what does not fit is left to be asked for. */
const payloadLengthMax = 4_000;

/** What is told: who, how many ready tasks by queue, whether there are events. */
interface Word {
  readonly from: number;
  readonly work: Readonly<Record<string, number>>;
  readonly moved: boolean;
}

export interface NeighboursOptions {
  readonly database: Database;
  readonly schema: string;
  readonly epoch: number;
  /** Makes a connection that no pooler is on; null = ask only. */
  readonly direct: (() => Promise<DirectClient>) | null;
  /** Told once where that connection turns out to lead to a pooler. */
  readonly onPooled: () => void;
}

export class Neighbours {
  readonly #options: NeighboursOptions;
  readonly #listeners = new Set<StoreListener>();
  readonly #channel: string;
  #client: DirectClient | null = null;
  #isHearing = false;
  /** Whether there is a pooler on what should be direct. */
  #isPooled = false;
  #work = new Map<string, number>();
  #moved = false;
  #tellTimer: NodeJS.Timeout | null = null;
  #askTimer: NodeJS.Timeout | null = null;
  #connectTimer: NodeJS.Timeout | null = null;
  #askMs = askMsMin;
  /** What was found when last asked. */
  #lastHead = 0;
  #lastReady = new Map<string, number>();
  #connecting: Promise<void> | null = null;
  #closed = false;

  constructor(options: NeighboursOptions) {
    this.#options = options;
    this.#channel = `eventspine_${options.schema.replaceAll(/[^a-z0-9_]/gu, '')}`;
  }

  watch(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    this.#connect();
    this.#schedule(0);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Something of ours was committed. */
  committed(events: number, work: ReadonlyMap<string, number>): void {
    if (this.#closed || this.#options.direct === null || (events === 0 && work.size === 0)) return;
    for (const [queue, count] of work) this.#work.set(queue, (this.#work.get(queue) ?? 0) + count);
    this.#moved ||= events > 0;
    this.#connect();
    if (this.#tellTimer !== null) return;
    this.#tellTimer = setTimeout(() => void this.#tell(), tellAfterMs);
    this.#tellTimer.unref();
  }

  async #tell(): Promise<void> {
    const word: Word = { from: this.#options.epoch, work: Object.fromEntries(this.#work), moved: this.#moved };
    this.#work = new Map();
    this.#moved = false;
    let payload = JSON.stringify(word);
    if (payload.length > payloadLengthMax) payload = JSON.stringify({ ...word, work: {} });
    try {
      if (this.#isHearing) await this.#client?.query(notifySql(this.#channel, payload));
    } catch {
      // Whoever is not told asks.
    }
    this.#tellTimer = null;
    if (this.#work.size > 0 || this.#moved) this.committed(this.#moved ? 1 : 0, new Map());
  }

  #connect(): void {
    const { direct } = this.#options;
    if (direct === null || this.#client !== null || this.#connecting !== null || this.#connectTimer !== null) return;
    this.#connecting = this.#open(direct)
      .catch(() => this.#lost())
      .finally(() => {
        this.#connecting = null;
      });
  }

  async #open(direct: () => Promise<DirectClient>): Promise<void> {
    const client = await direct();
    client.onLost(() => this.#lost(client));
    this.#client = client;
    await client.connect();
    if (this.#closed) return client.end();
    const test = `{"test":${this.#options.epoch}}`;
    let timer: NodeJS.Timeout | undefined;
    const heard = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), selfTestMs);
      client.onNotification((payload) => {
        if (payload === test) resolve(true);
        else this.#hear(payload);
      });
    });
    await client.query(`LISTEN "${this.#channel}"`);
    // A pooler hands us what we tell ourselves even where it swallows what others tell, so there others do.
    const isDirect = await client.isDirect();
    if (isDirect) await client.query(notifySql(this.#channel, test));
    else await this.#options.database.read([{ text: notifySql(this.#channel, test), values: [] }]);
    const isHearing = await heard;
    clearTimeout(timer);
    // Lost meanwhile: another is on its way.
    if (this.#client !== client) return;
    this.#isHearing = isHearing;
    if (isHearing) this.#isPooled = false;
    else if (isDirect) await client.end();
    else await this.#pooled(client);
  }

  /** A pooler that gives each statement another server connection hears nothing, and says nothing of it. */
  async #pooled(client: DirectClient): Promise<void> {
    if (!this.#isPooled) this.#options.onPooled();
    this.#isPooled = true;
    // Goes the way that LISTEN went, as a rule; what is left behind there harms nobody.
    await client.query(`UNLISTEN "${this.#channel}"`);
    await client.end();
  }

  #lost(client: DirectClient | null = this.#client): void {
    if (client !== this.#client) return;
    this.#client = null;
    this.#isHearing = false;
    if (this.#closed || this.#connectTimer !== null) return;
    this.#askMs = askMsMin;
    this.#connectTimer = setTimeout(
      () => {
        this.#connectTimer = null;
        this.#connect();
      },
      this.#isPooled ? reconnectPooledMs : reconnectMs,
    );
    this.#connectTimer.unref();
  }

  #hear(payload: string): void {
    const word = wordOf(payload);
    if (word === null || word.from === this.#options.epoch) return;
    this.#say(new Map(Object.entries(word.work)), word.moved);
  }

  #say(work: ReadonlyMap<string, number>, moved: boolean): void {
    for (const listener of this.#listeners) {
      if (work.size > 0) listener.work(work);
      if (moved) listener.moved();
    }
  }

  #schedule(ms: number): void {
    if (this.#askTimer !== null || this.#closed || this.#listeners.size === 0) return;
    this.#askTimer = setTimeout(() => void this.#ask(), ms);
    this.#askTimer.unref();
  }

  /** One small read: the newest commit, and what is ready by the counters. */
  async #ask(): Promise<void> {
    const s = this.#options.schema;
    let isNew = false;
    try {
      const [feed, ready] = await this.#options.database.read([
        { text: `SELECT head FROM ${s}.feed WHERE id = 1`, values: [] },
        {
          text: `SELECT name, sum(count) FROM ${s}.tally WHERE kind = 1 AND state = 0 GROUP BY name HAVING sum(count) > 0`,
          values: [],
        },
      ]);
      isNew = this.#compare(int(feed?.[0]?.[0]), new Map((ready ?? []).map((row) => [text(row[0]), int(row[1])])));
    } catch {
      // Asked again later; who writes will say what is wrong.
    }
    this.#askTimer = null;
    this.#askMs = isNew ? askMsMin : Math.min(askMsMax, this.#askMs * 2);
    const ms = this.#isHearing ? askWhileHearingMs : this.#askMs;
    this.#schedule(ms * (0.75 + Math.random() / 2));
  }

  #compare(head: number, ready: Map<string, number>): boolean {
    const moved = head > this.#lastHead;
    const work = new Map([...ready].filter(([queue, count]) => moved || count > (this.#lastReady.get(queue) ?? 0)));
    this.#lastHead = head;
    this.#lastReady = ready;
    this.#say(work, moved);
    return moved || work.size > 0;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listeners.clear();
    for (const timer of [this.#tellTimer, this.#askTimer, this.#connectTimer]) if (timer !== null) clearTimeout(timer);
    await this.#connecting;
    await this.#client?.end().catch(() => undefined);
  }
}

function notifySql(channel: string, payload: string): string {
  return `SELECT pg_notify('${channel}', '${payload.replaceAll("'", "''")}')`;
}

function wordOf(payload: string): Word | null {
  try {
    const { from, work, moved } = JSON.parse(payload) as Partial<Word>;
    if (typeof from !== 'number' || typeof work !== 'object' || work === null) return null;
    return { from, work, moved: moved === true };
  } catch {
    return null;
  }
}
