/** What this server has made of webhooks since it was started: by source, for those who look after one, and in all. */
import { isoOf } from '../../core/instant.js';
import type { WebhookSeen } from '../../protocol/http.js';

/** What becomes of a request. */
export type WebhookOutcome = 'accepted' | 'duplicate' | 'refused';

export type WebhookCounts = Readonly<Record<WebhookOutcome, number>>;

interface Seen {
  readonly counts: Record<WebhookOutcome, number>;
  lastRefusal: { readonly atMs: number; readonly fault: string } | null;
}

/** Sources of which is remembered what was seen; more than any installation should have. */
const sourcesMax = 10_000;

export class WebhookTally {
  readonly #sources = new Map<string, Seen>();
  readonly #all: Record<WebhookOutcome, number> = { accepted: 0, duplicate: 0, refused: 0 };

  /** Of all sources, and of requests that were for none. */
  get counts(): WebhookCounts {
    return this.#all;
  }

  /** A request for a source that is there, or (null) for one that is not. */
  count(source: { readonly tenant: string; readonly name: string } | null, outcome: WebhookOutcome): void {
    this.#all[outcome] += 1;
    if (source !== null) this.#of(source.tenant, source.name).counts[outcome] += 1;
  }

  refuse(source: { readonly tenant: string; readonly name: string } | null, fault: string, atMs: number): void {
    this.count(source, 'refused');
    if (source !== null) this.#of(source.tenant, source.name).lastRefusal = { atMs, fault };
  }

  seen(tenant: string, name: string): WebhookSeen {
    const seen = this.#sources.get(keyOf(tenant, name));
    const { accepted, duplicate, refused } = seen?.counts ?? { accepted: 0, duplicate: 0, refused: 0 };
    const last = seen?.lastRefusal ?? null;
    return {
      accepted,
      duplicates: duplicate,
      refused,
      lastRefusal: last === null ? null : { at: isoOf(last.atMs), fault: last.fault },
    };
  }

  #of(tenant: string, name: string): Seen {
    const key = keyOf(tenant, name);
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    if (this.#sources.size >= sourcesMax) this.#sources.clear();
    const made: Seen = { counts: { accepted: 0, duplicate: 0, refused: 0 }, lastRefusal: null };
    this.#sources.set(key, made);
    return made;
  }
}

function keyOf(tenant: string, name: string): string {
  return `${tenant}\n${name}`;
}
