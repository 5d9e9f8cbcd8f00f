/**
 * Ids: branded strings with a readable prefix. The body is a ULID (48 bits of time, 80 random bits, Crockford
 * base 32 in lower case), so ids of one kind sort by their time of birth, which keeps b-tree inserts local.
 */
import type { Ports } from './ports.js';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type RunId = Branded<'run'>;
export type EventId = Branded<'event'>;
export type WorkerId = Branded<'worker'>;
export type SessionId = Branded<'session'>;
export type DeadLetterId = Branded<'deadLetter'>;
export type RedriveId = Branded<'redrive'>;
export type DeadEventId = Branded<'deadEvent'>;
export type KeyId = Branded<'apiKey'>;

const prefixes = {
  run: 'run_',
  event: 'evt_',
  worker: 'wrk_',
  session: 'ses_',
  deadLetter: 'dlq_',
  redrive: 'rdv_',
  deadEvent: 'dev_',
  apiKey: 'key_',
} as const;
type Kind = keyof typeof prefixes;
type IdOf = {
  run: RunId;
  event: EventId;
  worker: WorkerId;
  session: SessionId;
  deadLetter: DeadLetterId;
  redrive: RedriveId;
  deadEvent: DeadEventId;
  apiKey: KeyId;
};

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const bodyLength = 26;
const timeLength = 10;

/** Makes a new id of a kind; ids made in one millisecond by one process are not ordered among themselves. */
export function newId<K extends Kind>(kind: K, ports: Pick<Ports, 'clock' | 'random'>): IdOf[K] {
  return (prefixes[kind] + ulid(ports.clock.now(), ports.random.bytes(10))) as IdOf[K];
}

/** True when `value` has the form of an id of this kind. Says nothing about whether the thing exists. */
export function isId<K extends Kind>(kind: K, value: string): value is IdOf[K] {
  const prefix = prefixes[kind];
  return (
    value.length === prefix.length + bodyLength &&
    value.startsWith(prefix) &&
    bodyPattern.test(value.slice(prefix.length))
  );
}

const bodyPattern = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** 26 characters: 10 of time (ms, 48 bits), 16 of randomness (80 bits, exactly ten bytes). */
export function ulid(ms: number, random: Uint8Array): string {
  return timeText(ms) + base32(random);
}

/** Text of the last instant asked for: many ids are made in one millisecond. */
let lastMs = -1;
let lastText = '';

function timeText(ms: number): string {
  if (ms === lastMs) return lastText;
  let time = '';
  let rest = ms;
  for (let i = 0; i < timeLength; i++) {
    time = alphabet[rest % 32] + time;
    rest = Math.floor(rest / 32);
  }
  lastMs = ms;
  lastText = time;
  return time;
}

/** Ten bits at a time: half the steps, and no text is copied for each. */
const pairs: readonly string[] = Array.from({ length: 1024 }, (_, i) => `${alphabet[i >>> 5]}${alphabet[i & 31]}`);

function base32(bytes: Uint8Array): string {
  let out = '';
  // Five bytes are four pairs.
  for (let i = 0; i < bytes.length; i += 5) {
    const a = bytes[i] ?? 0;
    const b = bytes[i + 1] ?? 0;
    const c = bytes[i + 2] ?? 0;
    const d = bytes[i + 3] ?? 0;
    const e = bytes[i + 4] ?? 0;
    out += `${pairs[(a << 2) | (b >>> 6)]}${pairs[((b & 63) << 4) | (c >>> 4)]}${pairs[((c & 15) << 6) | (d >>> 2)]}${pairs[((d & 3) << 8) | e]}`;
  }
  return out;
}
