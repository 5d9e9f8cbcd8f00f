/**
 * An exported history: the events of one run with everything that its body was given, as one JSON value that needs no
 * store. It is what `eventspine check`, golden tests and the test kit replay on newer code.
 *
 * Invariant: payloads are the encoded texts as stored, so a replay gets exactly what the run got.
 */
import { SpineError } from '../errors.js';
import { isBlobPayload, type InlinePayload, type Payload } from '../payload.js';
import type { RunEvent } from './events.js';

/** The format that this module writes and reads. */
export const exportedHistoryFormat = 'eventspine-history/1';

/** See the top of the module. Holds inputs and results as they are: treat a file of it like the data of the run. */
export interface ExportedHistory {
  readonly format: typeof exportedHistoryFormat;
  readonly tenant: string;
  readonly run: string;
  /** From `run.started` on, in `seq` order, without a gap. */
  readonly events: readonly RunEvent[];
  /** Encoded texts of the payloads that are kept as blobs, by hash. */
  readonly blobs: Readonly<Record<string, string>>;
}

/** An exported history out of parsed JSON. Fails with HISTORY_INVALID. */
export function readExportedHistory(value: unknown): ExportedHistory {
  const fault = faultOf(value);
  if (fault !== null) throw new SpineError('HISTORY_INVALID', { reason: fault });
  // The events are those of our own log; what their data hold is looked at by whoever folds them.
  return value as ExportedHistory;
}

/** The text of a payload in a history. Fails with HISTORY_INVALID where the history came without it. */
export function exportedText(history: ExportedHistory, payload: Payload): InlinePayload {
  if (!isBlobPayload(payload)) return payload;
  const text = Object.hasOwn(history.blobs, payload.blob) ? history.blobs[payload.blob] : undefined;
  if (text === undefined) throw new SpineError('HISTORY_INVALID', { reason: `blob ${payload.blob} is missing` });
  return { codec: payload.codec, text };
}

function faultOf(value: unknown): string | null {
  if (!isRecord(value)) return 'it is not an object';
  if (value['format'] !== exportedHistoryFormat) return `its format is not "${exportedHistoryFormat}"`;
  const { tenant, run, events, blobs } = value;
  if (typeof tenant !== 'string' || typeof run !== 'string') return 'tenant or run is missing';
  if (!isRecord(blobs) || !Object.values(blobs).every((text) => typeof text === 'string')) return 'blobs are no texts';
  if (!Array.isArray(events) || events.length === 0) return 'it has no events';
  const wrong = events.findIndex((event: unknown, index) => !isEvent(event, index + 1));
  if (wrong !== -1) return `event ${wrong + 1} is missing or no event`;
  if ((events[0] as RunEvent).type !== 'run.started') return 'it does not begin with run.started';
  return null;
}

function isEvent(value: unknown, seq: number): boolean {
  if (!isRecord(value) || value['seq'] !== seq) return false;
  const { type, at, data, payload } = value;
  return typeof type === 'string' && Number.isFinite(at) && isRecord(data) && isPayload(payload);
}

function isPayload(value: unknown): boolean {
  if (value === undefined) return true;
  if (!isRecord(value) || typeof value['codec'] !== 'string') return false;
  return typeof value['text'] === 'string' || typeof value['blob'] === 'string';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
