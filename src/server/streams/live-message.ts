/**
 * Messages that clients send on live sockets, checked before anything is done with them. What has no name of a stream
 * cannot be answered and ends the socket; what has one is refused under that name.
 */
import { isSpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import type { LiveRequest, LiveSubscribe } from '../../protocol/live.js';
import { parseJson } from '../../protocol/json-body.js';

/** A message, or what is wrong with it; `sub` = the stream that it would have been about. */
export type ReadLiveMessage =
  | { readonly ok: true; readonly message: LiveRequest }
  | { readonly ok: false; readonly fault: string; readonly sub: string | null };

const subLengthMax = 64;
const partsMax = 2 * limits.streamPartitionsMax;
const members: Readonly<Record<string, readonly string[]>> = {
  auth: ['t', 'token'],
  subscribe: ['t', 'sub', 'run', 'topic', 'cursor', 'partitions', 'key', 'from', 'at', 'token'],
  unsubscribe: ['t', 'sub'],
};
const texts = ['run', 'topic', 'cursor', 'key', 'from', 'at', 'token'] as const;

export function readLiveMessage(bytes: Uint8Array): ReadLiveMessage {
  const value = jsonOf(bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { ok: false, fault: 'A message is a JSON object.', sub: null };
  const message = value as Readonly<Record<string, unknown>>;
  const t = typeof message['t'] === 'string' ? message['t'] : '';
  const known = Object.hasOwn(members, t) ? members[t] : undefined;
  if (known === undefined) return { ok: false, fault: 'There is no message with this "t".', sub: null };
  if (t === 'auth') {
    const isAuth = isToken(message['token']) && Object.keys(message).length === known.length;
    return isAuth
      ? { ok: true, message: { t, token: String(message['token']) } }
      : { ok: false, fault: 'auth has a "token", and nothing else.', sub: null };
  }
  const { sub } = message;
  if (typeof sub !== 'string' || sub === '' || sub.length > subLengthMax)
    return { ok: false, fault: `"sub" is not a text of 1 to ${subLengthMax} characters.`, sub: null };
  const fault = faultOf(message, t, known);
  return fault === null
    ? { ok: true, message: message as unknown as LiveRequest }
    : { ok: false, fault, sub: t === 'subscribe' ? sub : null };
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return parseJson(bytes, partsMax);
  } catch (error) {
    if (isSpineError(error)) return null;
    throw error;
  }
}

function faultOf(message: Readonly<Record<string, unknown>>, t: string, known: readonly string[]): string | null {
  const unknown = Object.keys(message).find((name) => !known.includes(name));
  if (unknown !== undefined) return `${t} has no member "${unknown.slice(0, 40)}"; there are ${known.join(', ')}`;
  if (t === 'unsubscribe') return null;
  const { run, topic, partitions } = message as Partial<LiveSubscribe>;
  if ((run === undefined) === (topic === undefined)) return 'it names either a run or a topic';
  const odd = texts.find((name) => message[name] !== undefined && typeof message[name] !== 'string');
  if (odd !== undefined) return `${odd} is not a text`;
  if (run === '' || topic === '') return 'the name is empty';
  if (message['token'] !== undefined && !isToken(message['token'])) return 'token is not one';
  const isList = partitions === undefined || (Array.isArray(partitions) && partitions.every(Number.isSafeInteger));
  return isList ? null : 'partitions is not a list of numbers';
}

/** As in a header: a token is one word. */
function isToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,8192}$/.test(value);
}
