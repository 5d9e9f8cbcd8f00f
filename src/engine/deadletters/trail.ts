/** The trail of a dead letter: what the history of its run says of what failed, and of what people did about it. */
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import type { Failure } from '../../core/failure.js';
import { remedyText, type TakenRemedy } from '../../core/remedies.js';
import type { RunEvent } from '../../core/run/events.js';
import type { DeadLetterRow } from '../../store/contract.js';
import type { DeadLetterDetail, TrailItem } from '../../protocol/http.js';

export function trailOf(row: Pick<DeadLetterRow, 'id' | 'path'>, events: readonly RunEvent[]): TrailItem[] {
  const items: TrailItem[] = [];
  for (const event of events) {
    const item = itemOf(row, event);
    if (item !== null) items.push(item);
    // What comes after is of another letter.
    if (isDeathOf(row.id, event)) break;
  }
  return items.slice(-limits.trailItemsMax);
}

/** The failure that the letter was written for. */
export function causeOf(id: string, events: readonly RunEvent[]): Failure | null {
  const death = events.find((event) => isDeathOf(id, event));
  return death?.type === 'run.failed' || death?.type === 'message.buried' ? death.data.failure : null;
}

/** What triage made of the failure, as views show it. */
export function verdictOf(cause: Failure | null): Pick<DeadLetterDetail, 'confidence' | 'reason' | 'classifier'> {
  const triage = cause?.triage;
  return triage === undefined
    ? { confidence: null, reason: null, classifier: null }
    : { confidence: triage.confidence, reason: triage.reason, classifier: triage.version };
}

function isDeathOf(id: string, event: RunEvent): boolean {
  return (event.type === 'run.failed' || event.type === 'message.buried') && event.data.deadLetter === id;
}

function itemOf({ path }: Pick<DeadLetterRow, 'path'>, event: RunEvent): TrailItem | null {
  switch (event.type) {
    case 'step.retrying':
    case 'call.retrying':
    case 'inference.retrying': {
      const { attempt, failure, retryAt, remedy } = event.data;
      return isOf(path, event.data.path)
        ? failedItem(event, 'attempt_failed', attempt, failure, remedy, retryAt)
        : null;
    }
    case 'activation.retrying': {
      const { attempt, failure, retryAt } = event.data;
      return path === null ? failedItem(event, 'attempt_failed', attempt, failure, undefined, retryAt) : null;
    }
    case 'step.failed':
    case 'call.failed':
    case 'inference.failed':
      return isOf(path, event.data.path)
        ? failedItem(event, 'attempt_failed', event.data.attempt, event.data.failure, event.data.remedy)
        : null;
    case 'node.failed':
      return event.data.path === path ? failedItem(event, 'attempt_failed', null, event.data.failure) : null;
    case 'run.failed':
      return failedItem(event, 'gave_up', null, event.data.failure);
    case 'message.buried':
      return event.data.path === path ? failedItem(event, 'gave_up', event.data.attempts, event.data.failure) : null;
    case 'run.redriven':
      return personsItem(event, 'redriven', event.data.by, event.data.reason ?? null);
    case 'input.edited':
      return event.data.path === path ? personsItem(event, 'edited', event.data.by, event.data.reason) : null;
    default:
      return null;
  }
}

/** Also of what was asked before in the place of what has failed. */
function isOf(letter: string | null, path: string): boolean {
  if (path === letter) return true;
  const base = letter?.replace(/\/again:\d+$/, '') ?? null;
  return base !== letter && (path === base || (base !== null && path.startsWith(`${base}/again:`)));
}

function failedItem(
  { at }: RunEvent,
  what: TrailItem['what'],
  attempt: number | null,
  { class: failureClass, code, message, triage }: Failure,
  remedy?: TakenRemedy,
  retryAt?: number,
): TrailItem {
  return {
    at: isoOf(at),
    what,
    attempt,
    failure: {
      class: failureClass,
      code,
      message,
      confidence: triage?.confidence ?? null,
      reason: triage?.reason ?? null,
      classifier: triage?.version ?? null,
    },
    remedy: remedy === undefined ? null : { name: remedy.name, text: remedyText(remedy) },
    retryAt: retryAt === undefined ? null : isoOf(retryAt),
    by: null,
    reason: null,
  };
}

function personsItem({ at }: RunEvent, what: TrailItem['what'], by: string, reason: string | null): TrailItem {
  return { at: isoOf(at), what, attempt: null, failure: null, remedy: null, retryAt: null, by, reason };
}
