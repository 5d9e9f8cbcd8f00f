/**
 * Who may use a server of the command line: `--token`, `--keys`, and the file of `--access`, which names issuers of tokens and
 * origins of pages. Read before anything is opened, so that what is wrong with it is said at once.
 */
import { dirname, resolve } from 'node:path';
import { apiKeysOnly, jwt, type JwtOptions } from '../auth/index.js';
import { hasCode, SpineError } from '../core/errors.js';
import { apiKeyPrefix } from '../core/keys/key-text.js';
import { type Authorize, type CorsOptions, isLoopback } from '../server/index.js';
import { bearerOf } from './bearer.js';
import type { Flags } from './command.js';
import type { Io } from './io.js';
import { completed, jsonOf } from './settings-file.js';

/** What `createServer` is told. */
export interface ServerAccess {
  /** Absent = everybody on this machine may do everything. */
  readonly authorize?: readonly Authorize[];
  readonly cors?: CorsOptions;
}

/** The file of `--access`. */
interface AccessFile {
  /** Whether API keys are enough to listen for other machines. Servers accept them anyway. */
  readonly keys?: boolean;
  /** Options of `jwt` (`eventspine/auth`), one for each issuer. */
  readonly issuers?: readonly JwtOptions[];
  /** Roles of whoever comes with a token of an issuer for which none are said. */
  readonly roles?: readonly string[];
  readonly cors?: CorsOptions;
}

const members = ['keys', 'issuers', 'roles', 'cors'];

/** Fails with COMMAND_INVALID and OPTIONS_INVALID. */
export async function accessOf(flags: Flags, io: Pick<Io, 'environment' | 'folder'>): Promise<ServerAccess> {
  const token = flags.text('token') ?? io.environment.token;
  if (token?.startsWith(apiKeyPrefix) === true) {
    const reason =
      'The token of a server cannot be an API key, which it knows from its store; start it with --keys instead.';
    throw new SpineError('COMMAND_INVALID', { reason });
  }
  const { keys = false, issuers = [], roles, cors } = await accessFile(flags, io.folder);
  const authorize: readonly Authorize[] = [
    ...(token === undefined ? [] : [bearerOf(token)]),
    ...issuers.map((issuer, i) => issuerOf(roles === undefined ? issuer : { roles, ...issuer }, i)),
    ...(keys || truthOf(flags, 'keys') ? [apiKeysOnly] : []),
  ];
  const host = flags.text('host') ?? '127.0.0.1';
  if (authorize.length === 0 && !isLoopback(host)) throw unguarded(host);
  return { ...(authorize.length === 0 ? {} : { authorize }), ...(cors === undefined ? {} : { cors }) };
}

function unguarded(host: string): SpineError {
  const ways = [
    'API keys (--keys; `eventspine keys create` makes the first with --store)',
    'a token (--token)',
    'an identity provider (--access)',
  ];
  const reason = `${host} can be reached from other machines, and nobody would be asked who they are. Listen on 127.0.0.1, or let in by ${ways.join(', ')}.`;
  return new SpineError('COMMAND_INVALID', { reason });
}

async function accessFile(flags: Flags, folder: string): Promise<AccessFile> {
  const given = flags.declares('access') ? flags.text('access') : undefined;
  if (given === undefined) return {};
  const path = resolve(folder, given);
  const error = (fault: string, cause?: unknown): SpineError =>
    new SpineError('OPTIONS_INVALID', { what: given, faults: [fault] }, cause === undefined ? {} : { cause });
  const value = await completed(await jsonOf(path, given, 'The access'), 'access', { folder: dirname(path), error });
  const faults = fileFaults(value);
  if (faults.length > 0) throw new SpineError('OPTIONS_INVALID', { what: given, faults });
  return value as AccessFile;
}

/** Issuers are checked by `jwt`, which knows their options. */
function fileFaults(value: unknown): string[] {
  if (!isRecord(value)) return ['it is no JSON object'];
  const { keys, issuers, roles, cors } = value;
  const faults = Object.keys(value)
    .filter((name) => !members.includes(name))
    .map((name) => `there is no "${name}"; there are ${members.join(', ')}`);
  if (keys !== undefined && typeof keys !== 'boolean') faults.push('keys is neither true nor false');
  if (issuers !== undefined && !(Array.isArray(issuers) && issuers.every(isRecord)))
    faults.push('issuers is no list of objects');
  if (roles !== undefined && !isTexts(roles)) faults.push('roles is no list of texts');
  if (cors !== undefined && !isCors(cors))
    faults.push('cors is not { "origins": [...] } or { "origins": "*" }, and perhaps "credentials"');
  return faults;
}

function isCors(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { origins, credentials, ...others } = value;
  const isOrigins = origins === '*' || (isTexts(origins) && origins.every(isOrigin));
  return isOrigins && ['undefined', 'boolean'].includes(typeof credentials) && Object.keys(others).length === 0;
}

/** An origin as browsers write it: a slash at its end would keep it from ever being found. */
function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** With the place of the issuer in its faults: there may be several. */
function issuerOf(options: JwtOptions, index: number): Authorize {
  try {
    return jwt(options);
  } catch (error) {
    if (!hasCode(error, 'OPTIONS_INVALID')) throw error;
    const faults = error.detail.faults.map((fault) => `issuers[${index}]: ${fault}`);
    throw new SpineError('OPTIONS_INVALID', { what: '--access', faults }, { cause: error });
  }
}

function truthOf(flags: Flags, name: string): boolean {
  return flags.declares(name) && flags.truth(name);
}
