/**
 * Read tokens: a page gets one for its run and reads view, result and stream with it, without a session, or for a topic
 * and follows it. A token is its
 * claims and a signature (HMAC with SHA-256) under a key that all servers of a store share; nothing of it is kept, so it
 * costs no row, holds on any server and over restarts, and ends by its expiry on the store's clock.
 *
 * Invariant: claims are looked at only after the signature over exactly their bytes has been found right.
 */
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { SpineError } from '../../core/errors.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import type { Engine } from '../../engine/api.js';
import { readTokenSights, type ReadTokenSight, type ReadTokenView } from '../../protocol/http.js';
import type { ReadGrant, TopicGrant } from './grant.js';
import type { Principal } from '../options.js';

/** Who has a token made, and for how long. */
interface TokenClaims {
  readonly tenant: string;
  readonly user: string;
  readonly expiresMs: number;
  /** Tags of fields that it shows in clear. */
  readonly clearances: readonly string[];
}

/** What a token of a run is to say. */
export interface ReadTokenClaims extends TokenClaims {
  readonly run: string;
  readonly sees: ReadTokenSight;
  readonly decides: boolean;
}

/** What a token of a topic is to say. */
export interface TopicTokenClaims extends TokenClaims {
  readonly topic: string;
  readonly key: string | null;
  /** Whether it shows what was published before it is made. */
  readonly past: boolean;
}

/** Who comes with a token, and what for. */
export interface TokenBearer {
  readonly principal: Principal;
  readonly grant: ReadGrant | TopicGrant;
}

/** Marks the text as a token of this kind and form; `authorize` never sees it. */
export const readTokenPrefix = 'esr1.';

/** Names the use of the key: the same secret used for something else gives another key. */
const purpose = 'eventspine read token 1';
const keyBytes = 32;
/** Stands where a token of a run says what it shows; versions that know runs alone refuse it. */
const topicMark = 'topic';
const form = /^esr1\.([\w-]+)\.([\w-]{43})$/;

export class ReadTokens {
  readonly #engine: Pick<Engine, 'now' | 'secret'>;
  /** Given by the operator; the first one signs, all are accepted. Empty = that of the store. */
  readonly #given: readonly Uint8Array[];
  #stored: Promise<readonly Uint8Array[]> | null = null;

  constructor(engine: Pick<Engine, 'now' | 'secret'>, secrets: readonly string[]) {
    this.#engine = engine;
    this.#given = secrets.map((secret) => derived(secret));
  }

  issue(claims: ReadTokenClaims): Promise<ReadTokenView> {
    // One that only reads has the five claims of every version.
    return this.#issue(claims, claims.run, claims.sees, claims.decides ? ['decides'] : []);
  }

  issueForTopic(claims: TopicTokenClaims): Promise<ReadTokenView> {
    const since = claims.past ? null : this.#engine.now();
    return this.#issue(claims, claims.topic, topicMark, [claims.key, since]);
  }

  async #issue(
    { tenant, user, expiresMs, clearances }: TokenClaims,
    what: string,
    how: string,
    more: readonly unknown[],
  ): Promise<ReadTokenView> {
    const [key] = await this.#keys();
    if (key === undefined) throw new Error('Invariant broken: there is a key to sign with');
    // Whole seconds, rounded down, so that what the answer says is what the token holds.
    const expiresSeconds = Math.floor((this.#engine.now() + expiresMs) / 1_000);
    const cleared = clearances.length === 0 ? [] : [{ clear: clearances }];
    const parts = [tenant, user, what, how, expiresSeconds, ...more, ...cleared];
    const text = Buffer.from(JSON.stringify(parts)).toString('base64url');
    const signed = readTokenPrefix + text;
    return { token: `${signed}.${signature(key, signed)}`, expiresAt: isoOf(expiresSeconds * 1_000) };
  }

  /** Who comes with the token. @throws READ_TOKEN_INVALID, READ_TOKEN_EXPIRED, STORE_* */
  async read(token: string): Promise<TokenBearer> {
    const match = token.length <= limits.readTokenLengthMax ? form.exec(token) : null;
    if (match === null) throw new SpineError('READ_TOKEN_INVALID', {});
    const [, text = '', given = ''] = match;
    const keys = await this.#keys();
    // All keys are tried, so that the time does not tell which one it was.
    const isSigned = keys.map((key) => isEqual(signature(key, readTokenPrefix + text), given)).includes(true);
    const bearer = isSigned ? bearerOf(text) : null;
    if (bearer === null) throw new SpineError('READ_TOKEN_INVALID', {});
    if (this.#engine.now() >= bearer.grant.expiresAt) throw new SpineError('READ_TOKEN_EXPIRED', {});
    return bearer;
  }

  #keys(): Promise<readonly Uint8Array[]> | readonly Uint8Array[] {
    if (this.#given.length > 0) return this.#given;
    this.#stored ??= this.#engine.secret('read-token').then(
      (secret) => [derived(secret)],
      (error: unknown) => {
        // What kept the store from answering may pass.
        this.#stored = null;
        throw error;
      },
    );
    return this.#stored;
  }
}

function derived(secret: string | Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(0), purpose, keyBytes));
}

function signature(key: Uint8Array, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url');
}

/** Compares texts of one length in a time that does not depend on where they differ. */
function isEqual(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'));
}

/** Claims of a signed token; null where they are of a form that this version does not know. */
function bearerOf(text: string): TokenBearer | null {
  const claims: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
  if (!Array.isArray(claims)) return null;
  const { clearances, rest } = withoutClearances(claims as readonly unknown[]);
  const [tenant, user, what, how, expiresSeconds, ...more] = rest;
  if (typeof tenant !== 'string' || typeof user !== 'string' || typeof what !== 'string') return null;
  if (typeof expiresSeconds !== 'number') return null;
  const expiresAt = expiresSeconds * 1_000;
  const grant = how === topicMark ? topicGrantOf(what, more, expiresAt) : runGrantOf(what, how, more, expiresAt);
  return grant === null ? null : { principal: { tenant, user, roles: [], clearances }, grant };
}

/** What the last claim says of clearances, where it does; versions that know none refuse such a token. */
function withoutClearances(claims: readonly unknown[]): {
  readonly clearances: readonly string[];
  readonly rest: readonly unknown[];
} {
  const last = claims.at(-1);
  const said = typeof last === 'object' && last !== null && 'clear' in last ? last.clear : undefined;
  const isSaid = Array.isArray(said) && said.every((tag) => typeof tag === 'string');
  return isSaid ? { clearances: said as string[], rest: claims.slice(0, -1) } : { clearances: [], rest: claims };
}

function runGrantOf(run: string, sees: unknown, more: readonly unknown[], expiresAt: number): ReadGrant | null {
  const sight = readTokenSights.find((known) => known === sees);
  if (sight === undefined || more.length > 1 || (more.length === 1 && more[0] !== 'decides')) return null;
  return { tag: 'readToken', run, sees: sight, decides: more.length === 1, expiresAt };
}

function topicGrantOf(topic: string, more: readonly unknown[], expiresAt: number): TopicGrant | null {
  const [key, since] = more;
  if (more.length !== 2 || !(key === null || typeof key === 'string')) return null;
  return since === null || typeof since === 'number' ? { tag: 'topicToken', topic, key, since, expiresAt } : null;
}
