/**
 * The public keys of an issuer, read from where it publishes them. They are read anew while tokens come, so that a key that
 * the issuer has taken back is good for a minute at most, and kept for an hour while it does not answer, so that its trouble is
 * not ours at once.
 *
 * Invariant: an address is taken from the options or from the issuer's own document, never from a token; redirects are followed
 * nowhere.
 */
import { createLocalJWKSet, errors, type CryptoKey, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { Clock } from '../core/ports.js';

/** Where keys come from. */
export interface IssuerKeysOptions {
  readonly issuer: string;
  /** Address of the key set; null = as the issuer's OpenID document says. */
  readonly address: string | null;
  readonly clock: Clock;
  readonly fetch: typeof globalThis.fetch;
}

/** Finds the key for the header of a token. Fails with ISSUER_UNREACHABLE, and errors of `jose`. */
export type FindKey = JWTVerifyGetKey<CryptoKey>;

interface Known {
  readonly find: ReturnType<typeof createLocalJWKSet>;
  readonly text: string;
  readonly readAt: number;
}

export class IssuerKeys {
  readonly #options: IssuerKeysOptions;
  #known: Known | null = null;
  #reading: Promise<void> | null = null;
  /** When it was asked last, in vain or not. */
  #askedAt = Number.NEGATIVE_INFINITY;
  /** Another number with each other set of keys: what was verified with a former one is to be verified again. */
  generation = 0;

  constructor(options: IssuerKeysOptions) {
    this.#options = options;
  }

  /** Whether what is known is young enough to be believed. Asks for what is newer in good time. */
  get isFresh(): boolean {
    const age = this.#age();
    if (age > limits.issuerKeysFreshMs / 2) this.#readAgain();
    return age <= limits.issuerKeysFreshMs;
  }

  readonly find: FindKey = async (header, token) => {
    if (!this.isFresh) await this.#renewed();
    try {
      return await this.#current().find(header, token);
    } catch (error) {
      // A key that is not there may be a new one. How often that is asked for does not depend on who sends what.
      if (!(error instanceof errors.JWKSNoMatchingKey) || !this.#mayAsk()) throw error;
      await this.#renewed();
      return await this.#current().find(header, token);
    }
  };

  /** Rejects where there is nothing to go on with. */
  async #renewed(): Promise<void> {
    await this.#read().catch((error: unknown) => {
      if (this.#age() > limits.issuerKeysStaleMs) throw error;
    });
  }

  #current(): Known {
    if (this.#known === null) throw this.#unreachable('it was asked a moment ago');
    return this.#known;
  }

  #age(): number {
    return this.#known === null ? Number.POSITIVE_INFINITY : this.#options.clock.monotonicMs() - this.#known.readAt;
  }

  #mayAsk(): boolean {
    return this.#options.clock.monotonicMs() - this.#askedAt >= limits.issuerKeysPauseMs;
  }

  #readAgain(): void {
    if (this.#mayAsk()) this.#read().catch(() => undefined);
  }

  /** One reading for all who ask; none soon after the last. */
  #read(): Promise<void> {
    if (this.#reading !== null) return this.#reading;
    if (!this.#mayAsk()) {
      return this.#known === null
        ? Promise.reject(this.#unreachable('it was asked a moment ago, in vain'))
        : Promise.resolve();
    }
    this.#askedAt = this.#options.clock.monotonicMs();
    this.#reading = this.#fetchKeys().finally(() => {
      this.#reading = null;
    });
    return this.#reading;
  }

  async #fetchKeys(): Promise<void> {
    const readAt = this.#options.clock.monotonicMs();
    const set = await this.#fetchJson(this.#options.address ?? (await this.#discovered()));
    const text = JSON.stringify(set);
    if (this.#known?.text === text) {
      this.#known = { ...this.#known, readAt };
      return;
    }
    try {
      this.#known = { find: createLocalJWKSet(set as JSONWebKeySet), text, readAt };
      this.generation += 1;
    } catch {
      throw this.#unreachable('what it publishes is no set of keys');
    }
  }

  /** Where the issuer says that its keys are. */
  async #discovered(): Promise<string> {
    const { issuer } = this.#options;
    const document = await this.#fetchJson(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const { issuer: named, jwks_uri: address } = document as { readonly issuer?: unknown; readonly jwks_uri?: unknown };
    if (named !== issuer) throw this.#unreachable('its OpenID document is of another issuer');
    if (typeof address !== 'string' || addressFault(address) !== null)
      throw this.#unreachable('its OpenID document gives no address of keys that may be asked');
    return address;
  }

  async #fetchJson(address: string): Promise<object> {
    try {
      const response = await this.#options.fetch(address, {
        headers: { accept: 'application/json' },
        redirect: 'error',
        signal: AbortSignal.timeout(limits.issuerTimeoutMs),
      });
      if (!response.ok) throw new Error(`it answers ${response.status}`);
      const value: unknown = JSON.parse(await boundedText(response));
      if (typeof value !== 'object' || value === null) throw new Error('its answer is no JSON object');
      return value;
    } catch (error) {
      throw this.#unreachable(reasonOf(error), error);
    }
  }

  #unreachable(reason: string, cause?: unknown): SpineError {
    const { issuer } = this.#options;
    return new SpineError('ISSUER_UNREACHABLE', { issuer, reason }, cause === undefined ? {} : { cause });
  }
}

/** Why keys are not asked for at an address; null = they are. Whoever can change what is answered there can sign tokens. */
export function addressFault(address: string): string | null {
  if (!URL.canParse(address)) return 'is no URL';
  const { protocol, hostname, username, password } = new URL(address);
  if (username !== '' || password !== '') return 'has a user or password in it';
  const isHere = hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
  return protocol === 'https:' || (protocol === 'http:' && isHere) ? null : 'is not https';
}

/** The body of an answer, as far as it may go. */
async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > limits.issuerAnswerBytesMax) throw new Error('its answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Why an address does not answer, without anything that it has said. */
function reasonOf(error: unknown): string {
  if (error instanceof SyntaxError) return 'its answer is not JSON';
  const { name, message, cause } = error as Error & { readonly cause?: { readonly code?: unknown } };
  if (name === 'TimeoutError') return `it does not answer within ${limits.issuerTimeoutMs} ms`;
  return typeof cause?.code === 'string' ? cause.code : message;
}
