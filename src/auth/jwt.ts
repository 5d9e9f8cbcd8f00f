/**
 * JSON Web Tokens of an OpenID Connect provider, or of whoever else signs them, as an `authorize` of a server. Signatures and
 * times are verified by `jose`; which tokens are looked at, whose keys are believed and what claims mean is said here.
 *
 * Invariant: claims mean something only after the signature over exactly them was found right, with a key that did not come with
 * the token, by an algorithm that the options allow.
 */
import { hash } from 'node:crypto';
import { createLocalJWKSet, errors, jwtVerify, type JSONWebKeySet, type JWTVerifyOptions } from 'jose';
import { parseDuration, type Duration } from '../core/duration.js';
import { isSpineError, SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { Clock } from '../core/ports.js';
import { nodePorts } from '../runtime/index.js';
import type { Authorize, Principal } from '../server/index.js';
import { claimOptionFaults, principalOf, type ClaimOptions, type TokenClaims } from './claims.js';
import { addressFault, IssuerKeys, type FindKey } from './issuer-keys.js';
import { formOf } from './token-form.js';

/** Options of `jwt`. */
export interface JwtOptions extends ClaimOptions {
  /** `iss` of the tokens, exactly as it stands in them. Tokens of others are left to the next `authorize`. */
  readonly issuer: string;
  /** For whom tokens must be made; of several, one will do. */
  readonly audience: string | readonly string[];
  /**
   * Address of the issuer's key set, https. Default: where its OpenID document (`/.well-known/openid-configuration`) says that it
   * is. Read on the first token, and again while tokens come.
   */
  readonly jwks?: string;
  /** The key set itself (RFC 7517), instead of an address. */
  readonly keys?: { readonly keys: readonly object[] };
  /** A secret that is shared with the issuer, at least 32 characters, for HS256; of several each will do. Instead of keys. */
  readonly secret?: string | readonly string[];
  /** Default: every signature by key pairs that we know (RS, PS, ES, EdDSA), or HS256 with `secret`. Fewer are safer. */
  readonly algorithms?: readonly JwtAlgorithm[];
  /** `typ` that tokens must have, such as `at+jwt` of RFC 9068. Default: that, `JWT`, or none. */
  readonly type?: string;
  /** How far the clocks of issuer and server may be apart. Default 30 s; more lets expired tokens live longer. */
  readonly tolerance?: Duration;
}

/** Algorithms of signatures. */
export type JwtAlgorithm = (typeof pairAlgorithms)[number] | (typeof secretAlgorithms)[number];

/** What tests hand in. */
export interface JwtPorts {
  readonly clock?: Clock;
  readonly fetch?: typeof globalThis.fetch;
}

const pairAlgorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;
const secretAlgorithms = ['HS256', 'HS384', 'HS512'] as const;
const secretLengthMin = 32;
const toleranceMsMax = 5 * 60_000;
/** Keys that are tried where a token does not say which one it is signed with. */
const keysTriedMax = 8;

/**
 * Lets those in who come with a token of the issuer as bearer. A token of somebody else, and a text that is none, are left to the
 * next `authorize`; a token of this issuer that is not right is refused (TOKEN_REFUSED), and ISSUER_UNREACHABLE is what whoever
 * comes hears while there are no keys.
 *
 * @throws OPTIONS_INVALID with every fault
 */
export function jwt(options: JwtOptions, ports: JwtPorts = {}): Authorize {
  const faults = optionFaults(options);
  if (faults.length > 0) throw new SpineError('OPTIONS_INVALID', { what: 'jwt', faults });
  const verifier = new Verifier(options, ports.clock ?? nodePorts.clock, ports.fetch ?? globalThis.fetch);
  return ({ headers }) => {
    const token = bearer.exec(headers.get('authorization')?.trim() ?? '')?.[1];
    return token === undefined ? null : verifier.read(token);
  };
}

const bearer = /^bearer +(\S+)$/i;

/** A token that was found right. */
interface Remembered {
  readonly principal: Principal;
  /** On the wall clock. */
  readonly until: number;
  readonly generation: number;
}

class Verifier {
  readonly #options: JwtOptions;
  readonly #clock: Clock;
  readonly #algorithms: ReadonlySet<string>;
  readonly #checks: JWTVerifyOptions;
  readonly #toleranceSeconds: number;
  /** Null where keys do not change. */
  readonly #issuerKeys: IssuerKeys | null;
  /** One after the other, until one fits. */
  readonly #finders: readonly (FindKey | Uint8Array)[];
  readonly #remembered = new Map<string, Remembered>();

  constructor(options: JwtOptions, clock: Clock, fetch: typeof globalThis.fetch) {
    const { issuer, audience, jwks, keys, secret } = options;
    this.#options = options;
    this.#clock = clock;
    const algorithms: JwtAlgorithm[] = [
      ...(options.algorithms ?? (secret === undefined ? pairAlgorithms : ['HS256' as const])),
    ];
    this.#algorithms = new Set(algorithms);
    this.#toleranceSeconds = parseDuration(options.tolerance ?? '30s') / 1_000;
    this.#checks = {
      issuer,
      audience: [audience].flat(),
      algorithms,
      requiredClaims: ['exp'],
      clockTolerance: this.#toleranceSeconds,
    };
    const isPublished = keys === undefined && secret === undefined;
    this.#issuerKeys = isPublished ? new IssuerKeys({ issuer, address: jwks ?? null, clock, fetch }) : null;
    this.#finders =
      this.#issuerKeys !== null
        ? [this.#issuerKeys.find]
        : keys !== undefined
          ? [createLocalJWKSet(keys as JSONWebKeySet)]
          : [secret ?? []].flat().map((one) => new TextEncoder().encode(one));
  }

  /** Whom a token names; null = it is none of this issuer. @throws or rejects with TOKEN_REFUSED, ISSUER_UNREACHABLE */
  read(token: string): Principal | null | Promise<Principal> {
    // A token is not kept: what is in the memory of a server is in its dumps.
    const name = hash('sha256', token, 'base64url');
    const known = this.#remembered.get(name);
    if (known !== undefined && this.#isGood(known)) return known.principal;
    const form = formOf(token, this.#options.type ?? null);
    if (form === null || form.issuer !== this.#options.issuer) return null;
    if ('fault' in form) throw refused(form.fault);
    if (!this.#algorithms.has(form.algorithm)) throw refused('it is signed in a way that is not allowed here');
    return this.#verified(token).then(({ claims, generation }) => {
      const named = principalOf(claims, this.#options);
      if ('fault' in named) throw refused(named.fault);
      const principal: Principal = { ...named, until: Number(claims['exp']) * 1_000 };
      this.#remember(name, { principal, until: this.#untilOf(claims), generation });
      return principal;
    });
  }

  #isGood({ until, generation }: Remembered): boolean {
    if (this.#clock.now() >= until) return false;
    const keys = this.#issuerKeys;
    return keys === null || (keys.isFresh && keys.generation === generation);
  }

  #untilOf({ exp }: TokenClaims): number {
    return Math.min(Number(exp) * 1_000, this.#clock.now() + limits.jwtBelievedMs);
  }

  #remember(name: string, found: Remembered): void {
    this.#remembered.delete(name);
    if (this.#remembered.size >= limits.jwtRemembered) {
      for (const oldest of this.#remembered.keys()) if (this.#remembered.delete(oldest)) break;
    }
    this.#remembered.set(name, found);
  }

  async #verified(token: string): Promise<{ readonly claims: TokenClaims; readonly generation: number }> {
    const checks = { ...this.#checks, currentDate: new Date(this.#clock.now()) };
    // As it was before: of a set of keys that comes while a token is verified nobody knows whether it was asked.
    const generation = this.#issuerKeys?.generation ?? 0;
    let failure: unknown;
    for (const key of this.#finders) {
      try {
        const { payload } = await jwtVerify(token, key, checks);
        return { claims: this.#checkedTimes(payload), generation };
      } catch (error) {
        failure = error;
        if (error instanceof errors.JWKSMultipleMatchingKeys) {
          const claims = await firstRight(token, error, checks);
          if (claims !== null) return { claims: this.#checkedTimes(claims), generation };
        }
      }
    }
    throw isSpineError(failure) ? failure : refused(reasonOf(failure));
  }

  /** @throws TOKEN_REFUSED */
  #checkedTimes(claims: TokenClaims): TokenClaims {
    const { iat } = claims;
    if (typeof iat === 'number' && iat > this.#clock.now() / 1_000 + this.#toleranceSeconds)
      throw refused('it was made in the future');
    return claims;
  }
}

/** The claims under the first of several keys that fits; null = none does. */
async function firstRight(
  token: string,
  keys: errors.JWKSMultipleMatchingKeys,
  checks: JWTVerifyOptions,
): Promise<TokenClaims | null> {
  let tried = 0;
  for await (const key of keys) {
    if (++tried > keysTriedMax) return null;
    try {
      return (await jwtVerify(token, key, checks)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  return null;
}

function refused(reason: string): SpineError {
  return new SpineError('TOKEN_REFUSED', { reason });
}

/** What was wrong. Claims are spoken of only to whoever has a token that is signed as it should be. */
function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'it has expired';
  if (error instanceof errors.JWTClaimValidationFailed) {
    const what = error.reason === 'missing' ? 'is missing' : 'is not as it must be';
    return `its claim "${error.claim.slice(0, 40)}" ${what}`;
  }
  if (error instanceof errors.JWKSNoMatchingKey) return 'its issuer has no such key';
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSMultipleMatchingKeys)
    return 'its signature is not right';
  return 'it cannot be verified';
}

function optionFaults(options: JwtOptions): string[] {
  const faults: string[] = [];
  const { issuer, audience, jwks, keys, secret, algorithms, tenant, tolerance = '30s' } = options;
  const known = ['issuer', 'audience', 'jwks', 'keys', 'secret', 'algorithms', 'type', 'tolerance'];
  const ofClaims = ['tenant', 'user', 'roles', 'permissions', 'clearances'];
  for (const name of Object.keys(options)) {
    if (![...known, ...ofClaims].includes(name))
      faults.push(`${name} is not an option; there are ${[...known, ...ofClaims].join(', ')}`);
  }
  if (typeof issuer !== 'string' || issuer === '') faults.push('issuer is not given');
  // Without it, a token that the same issuer has made for any other program would do.
  const audiences: readonly unknown[] = [audience].flat();
  if (audiences.length === 0 || !audiences.every((one) => typeof one === 'string' && one !== ''))
    faults.push('audience is not given');
  if (tenant === undefined || tenant === '') faults.push('tenant is not given; name one, or the claim that does');
  else faults.push(...claimOptionFaults(options));
  if ([jwks, keys, secret].filter((one) => one !== undefined).length > 1)
    faults.push('of jwks, keys and secret more than one is given');
  const address =
    jwks ?? (keys === undefined && secret === undefined && typeof issuer === 'string' ? issuer : undefined);
  const wrong = address === undefined ? null : addressFault(address);
  if (wrong !== null) faults.push(`${jwks === undefined ? 'issuer, where its keys are looked for,' : 'jwks'} ${wrong}`);
  const secrets: readonly unknown[] = [secret ?? []].flat();
  if (
    !secrets.every((one) => typeof one === 'string' && one.length >= secretLengthMin) ||
    (secret !== undefined && secrets.length === 0)
  )
    faults.push(`secret has not at least ${secretLengthMin} characters`);
  const fitting: readonly string[] = secret === undefined ? pairAlgorithms : secretAlgorithms;
  if (algorithms !== undefined && (algorithms.length === 0 || !algorithms.every((one) => fitting.includes(one))))
    faults.push(`algorithms are not some of ${fitting.join(', ')}`);
  if (!isTolerance(tolerance)) faults.push('tolerance is not a time of up to 5 minutes');
  if (keys !== undefined && keysFault(keys)) faults.push('keys is no set of public keys (RFC 7517)');
  return faults;
}

function isTolerance(given: Duration): boolean {
  try {
    return parseDuration(given) <= toleranceMsMax;
  } catch {
    return false;
  }
}

/** Private keys and secrets have no business here, and one that is there by mistake should be found early. */
function keysFault(set: NonNullable<JwtOptions['keys']>): boolean {
  try {
    createLocalJWKSet(set as JSONWebKeySet);
    return set.keys.length === 0 || set.keys.some((key) => 'd' in key || 'k' in key);
  } catch {
    return true;
  }
}
