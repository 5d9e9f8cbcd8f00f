/**
 * What a provider says of its own limits: `Retry-After`, the `x-ratelimit-*` family (OpenAI and those who speak its
 * protocol) and `anthropic-ratelimit-*`. Read by one function, in the worker, and sent with the outcome of the call.
 *
 * Invariant: a header that cannot be understood says nothing; none makes a call fail.
 */
import { limits } from '../limits.js';

/** What is left of one thing, and when it is full again; null = not said. */
export interface Remaining {
  readonly limit: number | null;
  readonly remaining: number | null;
  /** Ms from the answer on. */
  readonly resetMs: number | null;
}

export interface Feedback {
  /** Nothing is wanted before so many ms from the answer on; null = not said. Never shortened. */
  readonly retryAfterMs: number | null;
  readonly requests: Remaining | null;
  readonly tokens: Remaining | null;
}

/** Headers by lower-case name, or as `fetch` gives them. */
export type HeaderSource = { get(name: string): string | null } | Readonly<Record<string, string | undefined>>;

/**
 * `now`: epoch ms on the clock of whoever has the answer, for headers that name an instant; without a clock (null) these say
 * nothing. Null = nothing was said.
 */
export function readFeedback(headers: HeaderSource, now: number | null): Feedback | null {
  const header = (name: string): string | null => valueOf(headers, name);
  const retryAfterMs = msOf(header('retry-after-ms'), 1) ?? afterOf(header('retry-after'), now);
  const requests = remainingOf(header, 'requests', now);
  const tokens = remainingOf(header, 'tokens', now) ?? remainingOf(header, 'input-tokens', now);
  if (retryAfterMs === null && requests === null && tokens === null) return null;
  return { retryAfterMs, requests, tokens };
}

/**
 * How long nothing is wanted, in ms: `Retry-After`, else until what is used up is there again. Null = nobody has said.
 */
export function pauseOf({ retryAfterMs, requests, tokens }: Feedback): number | null {
  if (retryAfterMs !== null) return retryAfterMs;
  const resets = [requests, tokens].flatMap((one) =>
    one?.remaining === 0 && one.resetMs !== null ? [one.resetMs] : [],
  );
  return resets.length === 0 ? null : Math.max(...resets);
}

/** Libraries keep headers in many forms: what is not a text, or cannot be read, says nothing. */
function valueOf(headers: HeaderSource, name: string): string | null {
  try {
    const found: unknown = isGetter(headers) ? headers.get(name) : headers[keyIn(headers, name)];
    return typeof found === 'string' ? found : null;
  } catch {
    return null;
  }
}

function keyIn(headers: Readonly<Record<string, string | undefined>>, name: string): string {
  if (headers[name] !== undefined) return name;
  return Object.keys(headers).find((key) => key.toLowerCase() === name) ?? name;
}

/**
 * The same, said `ageMs` ago: pauses are shorter by so much, and what is left has grown as if it came back evenly until it is
 * full again. What nobody can tell any more is left out; null = nothing is left to be said.
 */
export function agedFeedback({ retryAfterMs, requests, tokens }: Feedback, ageMs: number): Feedback | null {
  const aged: Feedback = {
    retryAfterMs: retryAfterMs === null || retryAfterMs <= ageMs ? null : retryAfterMs - ageMs,
    requests: agedRemaining(requests, ageMs),
    tokens: agedRemaining(tokens, ageMs),
  };
  return aged.retryAfterMs === null && aged.requests === null && aged.tokens === null ? null : aged;
}

function agedRemaining(said: Remaining | null, ageMs: number): Remaining | null {
  if (said === null || ageMs <= 0) return said;
  const { limit, remaining, resetMs } = said;
  if (resetMs === null) return ageMs > unsureAfterMs ? null : said;
  if (resetMs <= ageMs) return null;
  const back = limit === null || remaining === null ? 0 : Math.max(0, limit - remaining) * (ageMs / resetMs);
  // Of one that had nothing left the pause goes on: it is told apart by its zero.
  const left = remaining === null || remaining === 0 ? remaining : remaining + Math.ceil(back);
  return { limit, remaining: left, resetMs: resetMs - ageMs };
}

/** How long it holds what was left where nothing is said of when it comes back. */
const unsureAfterMs = 1_000;

/** What of it is of use where no counter of ours is that of the endpoint: only what asks for a pause. Null = nothing. */
export function pausesOf(feedback: Feedback): Feedback | null {
  const spent = (said: Remaining | null): Remaining | null =>
    said?.remaining === 0 && (said.resetMs ?? 0) > 0 ? said : null;
  const { retryAfterMs, requests, tokens } = feedback;
  const kept = { retryAfterMs, requests: spent(requests), tokens: spent(tokens) };
  return kept.retryAfterMs === null && kept.requests === null && kept.tokens === null ? null : kept;
}

/** For how long nothing is wanted, ms; 0 = no pause. `refused`: the call was refused for want of room. */
export function toldPauseMs({ retryAfterMs, requests, tokens }: Feedback, refused: boolean): number {
  const spent = [requests, tokens].flatMap((said) => (said?.remaining === 0 ? [said.resetMs ?? 0] : []));
  return Math.min(limits.endpointPauseMsMax, Math.max(0, refused ? (retryAfterMs ?? 0) : 0, ...spent));
}

/** What a thrown error says by the headers of the answer that it stands for, wherever its library keeps them. */
export function feedbackOfError(thrown: unknown, now: number): Feedback | null {
  try {
    let at: unknown = thrown;
    for (let depth = 0; depth < causesMax && isRecord(at); depth++) {
      const { response, responseHeaders, headers, cause } = at;
      for (const found of [responseHeaders, headers, isRecord(response) ? response['headers'] : undefined]) {
        const said = isRecord(found) ? readFeedback(found as HeaderSource, now) : null;
        if (said !== null) return said;
      }
      at = cause;
    }
  } catch {
    // An error that cannot be looked at says nothing.
  }
  return null;
}

/** What an answer in the form of the AI SDK says: `doGenerate` and `doStream` give `response.headers`. */
export function feedbackOfAnswer(answer: unknown, now: number): Feedback | null {
  const response = isRecord(answer) ? answer['response'] : undefined;
  const headers = isRecord(response) ? response['headers'] : undefined;
  return isRecord(headers) ? readFeedback(headers as HeaderSource, now) : null;
}

const causesMax = 4;

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isGetter(headers: HeaderSource): headers is { get(name: string): string | null } {
  return typeof headers.get === 'function';
}

function remainingOf(header: (name: string) => string | null, what: string, now: number | null): Remaining | null {
  const of = (part: string): string | null =>
    header(`x-ratelimit-${part}-${what}`) ?? header(`anthropic-ratelimit-${what}-${part}`);
  const found: Remaining = {
    limit: countOf(of('limit')),
    remaining: countOf(of('remaining')),
    resetMs: resetOf(of('reset'), now),
  };
  return found.limit === null && found.remaining === null && found.resetMs === null ? null : found;
}

function countOf(text: string | null): number | null {
  if (text === null || !/^\d{1,15}$/.test(text.trim())) return null;
  return Number(text);
}

/** A number of `unitMs`, with or without a fraction. */
function msOf(text: string | null, unitMs: number): number | null {
  if (text === null || !/^\d{1,12}(?:\.\d+)?$/.test(text.trim())) return null;
  return Math.ceil(Number(text) * unitMs);
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function afterOf(text: string | null, now: number | null): number | null {
  return msOf(text, 1_000) ?? instantOf(text, now);
}

/** Seconds since 1970 are told from seconds to go by their size. */
const epochSecondsFrom = 1_000_000_000;

/** `6m0s`, `250ms`, `1.5` (seconds), `1790000000` (seconds since 1970), or an instant in ISO 8601. */
function resetOf(text: string | null, now: number | null): number | null {
  if (text === null) return null;
  const seconds = msOf(text, 1_000);
  if (seconds !== null && seconds < epochSecondsFrom * 1_000) return seconds;
  if (seconds !== null) return now === null ? null : Math.max(0, seconds - now);
  return durationOf(text.trim()) ?? instantOf(text, now);
}

const partMs: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

function durationOf(text: string): number | null {
  if (!/^(?:\d{1,9}(?:\.\d+)?(?:ms|d|h|m|s))+$/.test(text)) return null;
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|d|h|m|s)/g))
    sum += Number(amount) * (partMs[unit ?? ''] ?? 0);
  return Math.ceil(sum);
}

function instantOf(text: string | null, now: number | null): number | null {
  if (text === null || now === null || !/[a-zA-Z]{3}|T\d/.test(text)) return null;
  const at = epochMsOf(text);
  return at === null ? null : Math.max(0, at - now);
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const imfDate = /^[a-z]{3}, (\d{2}) ([a-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) gmt$/i;
const isoDate = /^(\d{4})-(\d{2})-(\d{2})t(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(z|[+-]\d{2}:\d{2})$/i;

/** An IMF-fixdate (RFC 9110, 5.6.7) or an instant of RFC 3339, as epoch ms. */
function epochMsOf(text: string): number | null {
  const imf = imfDate.exec(text.trim());
  if (imf !== null) {
    const [, day, month, year, hour, minute, second] = imf;
    return utc(Number(year), months.indexOf((month ?? '').toLowerCase()) + 1, Number(day), hour, minute, second);
  }
  const iso = isoDate.exec(text.trim());
  if (iso === null) return null;
  const [, year, month, day, hour, minute, second, zone = 'z'] = iso;
  const at = utc(Number(year), Number(month), Number(day), hour, minute, second);
  if (at === null || zone.toLowerCase() === 'z') return at;
  const offsetMs = (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6))) * 60_000;
  return zone.startsWith('-') ? at + offsetMs : at - offsetMs;
}

/** Days of the civil calendar (H. Hinnant, "chrono-compatible low-level date algorithms"), without a clock's help. */
function utc(year: number, month: number, day: number, hour = '0', minute = '0', second = '0'): number | null {
  if (month < 1 || month > 12 || day < 1 || day > 31) return null;
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  const days = era * 146_097 + dayOfEra - 719_468;
  return ((days * 24 + Number(hour)) * 60 + Number(minute)) * 60_000 + Number(second) * 1_000;
}
