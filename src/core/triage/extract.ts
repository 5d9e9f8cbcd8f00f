/**
 * Numbers that a failure states: how long to wait, and for what was too large, how large it may be and how large it was.
 * Invariant: total, linear, and silent where it would have to guess.
 */
import type { FailureClass } from '../failure.js';
import { fieldOf, type Reading } from './reading.js';

/** What a message states. */
export interface Stated {
  /** Seconds to wait before the next attempt. */
  readonly retry_after_s?: number;
  /** The most that one request may have: tokens of a context, bytes or items of a payload. */
  readonly limit?: number;
  /** What this request had, in the same unit. */
  readonly used?: number;
}

/** Reads what is stated. Limit and use are those of one request, so only classes that are about its size have them. */
export function statedIn(reading: Reading, headers: unknown, label: FailureClass): Stated | null {
  const wait = waitOfHeaders(headers) ?? waitOf(reading.text);
  const size = label === 'context_length_exceeded' || label === 'payload_too_large' ? sizesOf(reading) : {};
  const stated: Stated = { ...(wait === null ? {} : { retry_after_s: wait }), ...size };
  return Object.keys(stated).length === 0 ? null : stated;
}

const unitSeconds: readonly (readonly [RegExp, number])[] = [
  [/^(?:ms|msecs?|milli.*|毫秒)$/, 0.001],
  [/^(?:m|min|mins|minutes?|分|分钟)$/, 60],
  [/^(?:h|hrs?|hours?|小时|时)$/, 3_600],
  [/^(?:d|days?|天|日)$/, 86_400],
  [/^(?:s|secs?|seconds?|秒|秒钟)$/, 1],
];

const amount = String.raw`\d{1,9}(?:\.\d{1,9})?\s{0,2}(?:milliseconds?|millis|msecs?|ms|minutes?|mins?|seconds?|secs?|hours?|hrs?|days?|[smhd]|毫秒|秒钟?|分钟?|小时|天)(?![a-z])`;
// Each amount of `7m12s` is followed by the next one, so the boundary is only asked for after the last.
const amounts = String.raw`(?:\d{1,9}(?:\.\d{1,9})?\s{0,2}(?:milliseconds?|millis|msecs?|ms|minutes?|mins?|seconds?|secs?|hours?|hrs?|days?|[smhd]|毫秒|秒钟?|分钟?|小时|天)[\s,]{0,2}(?:and\s)?){0,3}${amount}`;

const waits: readonly RegExp[] = [
  // Said of what the reader should do, and not of what somebody is doing already ("Retrying in 1.0 seconds").
  new RegExp(
    String.raw`(?:try(?:ing)? (?:your request |it |this |the request |this request )?again|\bretry(?!ing)(?: (?:your|the|this) request)?|wait(?: at least| for)?|come back|available(?: again)?|resets?|reset time|back ?off|cool(?:s|ing)? ?down|expires?|unblocked)[^.\d\n]{0,24}?(${amounts})`,
    'i',
  ),
  new RegExp(String.raw`(?<!\w)retry[_ -]?(?:delay|after|in|info)\\?["']?\s{0,3}[:=]?\s{0,3}\\?["']?(${amounts})`, 'i'),
  new RegExp(
    String.raw`(?:请在?|等待|于)\s{0,2}(?:大约|约)?\s{0,2}(${amounts})\s{0,2}(?:后|之后|再|以后)?|(${amounts})\s{0,2}(?:后|之后)(?:再|重)?试`,
    'i',
  ),
  new RegExp(String.raw`(?:after|in) (?:about |approximately )?(${amounts})(?:,? (?:and )?(?:try|retry|before))`, 'i'),
];
/** Without a unit: seconds, unless the name says milliseconds. */
const bareWait =
  /(?:x-)?(?:retry[_ -]?after|ratelimit-reset-after|retry[_ -]?in)([_ -]?(?:ms|milliseconds|seconds|secs|sec|s))?\\?["']?\s{0,3}[:=]\s{0,3}\\?["']?(\d{1,9}(?:\.\d{1,9})?)(?![\d.]|\s{0,2}(?:[a-z]{3}\s|[:T-]\d))/i;

function waitOf(text: string): number | null {
  for (const expression of waits) {
    const found = expression.exec(text);
    const stated = found?.[1] ?? found?.[2];
    if (stated !== undefined) return secondsOf(stated);
  }
  const bare = bareWait.exec(text);
  if (bare === null) return null;
  return rounded(Number(bare[2]) * (/m/i.test(bare[1] ?? '') ? 0.001 : 1));
}

function secondsOf(stated: string): number {
  let seconds = 0;
  for (const [, number = '', unit = ''] of stated.matchAll(
    /(\d{1,9}(?:\.\d{1,9})?)\s{0,2}([a-z]{1,12}|[^\x00-\x7f\s\d]{1,2})/gi,
  )) {
    if (unit.toLowerCase() === 'and') continue;
    seconds += Number(number) * (unitSeconds.find(([name]) => name.test(unit.toLowerCase()))?.[1] ?? 1);
  }
  return rounded(seconds);
}

/** Sums and products of decimals, without what binary fractions add. */
function rounded(seconds: number): number {
  return Math.round(seconds * 1e9) / 1e9;
}

function waitOfHeaders(headers: unknown): number | null {
  const seconds = (name: string, unit: number): number | null => {
    const value = fieldOf(headers, name);
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
    return Number.isFinite(number) && number >= 0 ? rounded(number * unit) : null;
  };
  return seconds('retry-after-ms', 0.001) ?? seconds('retry-after', 1);
}

/** A number that stands alone: no part of a name, a version, a path or a date. */
const numbers =
  /(?<![\w.,/#@-]|[a-z]:)(\d{1,3}(?:[,_]\d{3}){1,4}|\d{1,12}(?:\.\d{1,3})?)\s?([kmg]i?b|bytes|[km])?(?![\w-]|[.,]\d|:\d|\/\d)/gi;

const limitBefore =
  /(?:max(?:imum)?|limit|at most|up to|allowed|allows?|no more than|(?:smaller|less|fewer|lower|shorter|greater|longer|larger|more|bigger|higher) than|context (?:length|size|window|limit)|window|capacity|threshold|budget|exceed(?:s|ed|ing)?|over|<=?|≤|>=?|cap|supports?|not exceed|n_ctx|ctx|小于|最大|上限|限制|不超过|超过|超出|range of|between|expected)/gi;
const usedBefore =
  /(?:request(?:ed|ing|s)?|resulted in|contains?|got|given|received|used|uses|total length(?: of)?|total of(?: at least)?|token count|count|input length|number of tokens|actual(?:ly)?|consum\w+|provided|sent|your (?:messages|prompt|request|input)|estimated|当前|实际|您的)/gi;
/** Words that stand before any number; they only matter where nothing else does. */
const usedPerhaps = /(?:has|have|had|total|prompt|inputs?|length|size|with|is|was|are|of|found|输入)/gi;
const limitAfter = /^[^\d]{0,12}(?:max(?:imum)?|limit|allowed|context|or fewer|at most|window)\b/i;
const usedAfter =
  /^[^\d.]{0,16}(?:>|≥|is (?:too|larger|greater|longer|more)|exceed|(?:too|over) (?:long|the)|requested|in (?:the|your) (?:messages|prompt|input|request)|were (?:given|provided|requested)|(?:prompt|input) tokens)/i;

interface Sized {
  readonly value: number;
  readonly limit: number;
  readonly used: number;
}

function sizesOf(reading: Reading): Stated {
  const head = reading.text.slice(0, sizesLengthMax);
  // `188240 + 21333 > 200000`, `213462 tokens > 200000 maximum`: what is on the left was asked for.
  const over =
    /(?<![\w.])([\d,]{1,15})(?:\s?\+\s?([\d,]{1,15}))?\s?(?:tokens|bytes|characters|chars|items)?\s?(?:>=?|≥)\s?([\d,]{1,15})(?![\w.]\d)/i.exec(
      head,
    );
  if (over !== null) {
    const [, first = '', second = '0', limit = ''] = over;
    return { limit: plain(limit), used: plain(first) + plain(second) };
  }
  // Hugging Face: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3474 `inputs` tokens and 60 `max_new_tokens`.
  const sum = /must be <=? ?(\d{1,9})\. given: ?(\d{1,9})[^\d]{1,24}(\d{1,9})/i.exec(head);
  if (sum !== null) return { limit: Number(sum[1]), used: Number(sum[2]) + Number(sum[3]) };
  const tpm = /limit:?\s?([\d,]{1,15}),\s?(?:used:?\s?[\d,]{1,15},\s?)?requested:?\s?([\d,]{1,15})/i.exec(head);
  if (tpm !== null) return { limit: plain(tpm[1] ?? ''), used: plain(tpm[2] ?? '') };
  const range = /range of (?:input|prompt|messages?)? ?length should be \[\s?\d+,\s?(\d+)\s?\]/i.exec(head);
  if (range !== null) return { limit: plain(range[1] ?? '') };

  const found: Sized[] = [];
  for (const match of head.matchAll(numbers)) {
    const [whole, number = '', unit = ''] = match;
    const value = sized(number, unit);
    const after = head.slice(match.index + whole.length, match.index + whole.length + 40);
    if ((value < smallestSize && !items.test(after)) || found.length >= numbersMax) continue;
    if (value === reading.status || value === reading.statedStatus) continue;
    // What stands before another number is said of that one.
    const before = head.slice(Math.max(0, match.index - cueReach), match.index).replace(/^.*\d/s, '');
    const limit = nearness(before, limitBefore) + (limitAfter.test(after) ? 30 : 0);
    const used =
      Math.max(nearness(before, usedBefore), nearness(before, usedPerhaps) / 4) + (usedAfter.test(after) ? 40 : 0);
    found.push({ value, limit, used });
  }
  return chosen(found);
}

/** Numbers below are counts of something else: an index of a message, a part of a version. */
const smallestSize = 8;
const items = /^ ?(?:images?|items|inputs?|documents?|files|pages|texts|tools|attachments)\b/i;
const sizesLengthMax = 2_000;
const numbersMax = 16;

/** How far before a number a cue may stand. */
const cueReach = 60;

/** How near the last cue stands before its number; 0 = there is none. */
function nearness(before: string, cues: RegExp): number {
  let near = 0;
  for (const match of before.matchAll(cues)) near = cueReach + 1 - (before.length - match.index - match[0].length);
  return near;
}

function chosen(found: readonly Sized[]): Stated {
  const limit = best(found, (one) => one.limit - one.used);
  const used = best(
    found.filter((one) => one !== limit),
    (one) => one.used - one.limit,
  );
  return {
    ...(limit === null ? {} : { limit: limit.value }),
    ...(used === null ? {} : { used: used.value }),
  };
}

function best(found: readonly Sized[], of: (one: Sized) => number): Sized | null {
  let top: Sized | null = null;
  for (const one of found) if (of(one) > 0 && (top === null || of(one) > of(top))) top = one;
  return top;
}

function plain(number: string): number {
  return Number(number.replace(/[,_]/g, ''));
}

function sized(number: string, unit: string): number {
  const scale: Readonly<Record<string, number>> = {
    k: 1_000,
    m: 1_000_000,
    kb: 1_024,
    kib: 1_024,
    mb: 1_048_576,
    mib: 1_048_576,
    gb: 1_073_741_824,
    gib: 1_073_741_824,
  };
  return Math.round(plain(number) * (scale[unit.toLowerCase()] ?? 1));
}
