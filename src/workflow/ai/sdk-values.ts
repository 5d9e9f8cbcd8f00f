/**
 * Values of the AI SDK as values of the codec: addresses become text, what no codec has (functions, signals, undefined
 * fields) is left out, instances of classes become plain objects.
 *
 * Invariant: total and bounded by the depth that can be stored; what has more depth fails in the codec, with a name.
 */
import { limits } from '../../core/limits.js';

/** What the codec has a form for. */
const kept: ReadonlySet<string> = new Set(['[object Date]', '[object Error]', '[object Map]', '[object Set]']);

/** A value that can be recorded, with the same content. */
export function storable(value: unknown, depth = 0): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null || depth > limits.valueDepthMax) return value;
  if (value instanceof URL) return value.href;
  if (value instanceof AbortSignal) return undefined;
  if (kept.has(Object.prototype.toString.call(value))) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map((one: unknown) => storable(one, depth + 1) ?? null);
  const fields = Object.entries(value).flatMap(([name, field]): [string, unknown][] => {
    const stored = storable(field, depth + 1);
    return stored === undefined ? [] : [[name, stored]];
  });
  return Object.fromEntries(fields);
}
