/** Events of runs as the API shows them. */
import { isoOf } from '../../core/instant.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { RunEvent } from '../../core/run/events.js';
import type { RunEventView } from '../../protocol/http.js';
import type { StoredRunEvent } from '../events/rows.js';
import type { PlainValue } from './lanes.js';

export function storedEventView(stored: StoredRunEvent, plain: PlainValue): RunEventView {
  return eventView(stored.event, stored.envelope.stream, stored.envelope.actor, plain);
}

export function eventView(event: RunEvent, run: string, actor: string, plain: PlainValue): RunEventView {
  const { payload } = event;
  return {
    seq: event.seq,
    id: `${run}/${event.seq}`,
    type: event.type,
    at: isoOf(event.at),
    actor,
    data: event.data,
    ...(payload === undefined ? {} : shown(payload, plain)),
  };
}

function shown(payload: Payload, plain: PlainValue): Pick<RunEventView, 'payload' | 'blob'> {
  return isBlobPayload(payload) ? { blob: { hash: payload.blob, size: payload.size } } : { payload: plain(payload) };
}
