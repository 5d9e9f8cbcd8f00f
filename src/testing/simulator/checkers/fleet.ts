/**
 * Checkpoints of the fleet: each says what the log comes to up to its position, found here by folding every run by itself;
 * there is one chain of them, whoever believed to have the duty.
 */
import { counterKey, counterOf, type FleetCounts, addCount } from '../../../core/fleet/counts.js';
import type { FleetCheckpoint } from '../../../core/fleet/checkpoint.js';
import { jsonOf } from '../../../core/codec.js';
import { fleetTopic } from '../../../core/manifest.js';
import { openRows } from '../../../core/run/effects.js';
import { foldRun, isEnded } from '../../../core/run/state.js';
import { parseEnvelope, payloadOf } from '../../../engine/events/envelope-writer.js';
import { readRunEvent } from '../../../engine/events/rows.js';
import { topicStream, type EventRow, type Violation } from '../../../store/index.js';
import type { FinalState, History } from '../history.js';

/** Each checkpoint that is wrong, or out of its place. */
export function checkFleet({ final }: History): Violation[] {
  if (final === null) return [];
  const violations: Violation[] = [];
  let before = 0;
  for (const row of final.topicEvents) {
    if (row.stream !== topicStream(fleetTopic.name, 0)) continue;
    const report = (detail: string): void =>
      void violations.push({ property: 'fleet', tenant: row.tenant, subject: `checkpoint ${row.seq}`, detail });
    const checkpoint = checkpointIn(row);
    if (checkpoint === null) continue;
    if (checkpoint.position <= before || checkpoint.from !== before)
      report(`it goes from ${checkpoint.from} to ${checkpoint.position}, the one before went to ${before}`);
    before = checkpoint.position;
    const said = textOf(ofRuns(new Map(checkpoint.counts)));
    const found = textOf(countedAt(final, checkpoint.position));
    if (said !== found) report(`it says ${said} at ${checkpoint.position}, the log ${found}`);
  }
  return violations;
}

function checkpointIn(row: EventRow): FleetCheckpoint | null {
  const payload = payloadOf(parseEnvelope(row.envelope), row.payload);
  // One that lies in a blob would be larger than any world is.
  return payload === null || !('text' in payload) ? null : (jsonOf(payload) as FleetCheckpoint);
}

/** Runs by status, and open tasks all together. */
function countedAt({ histories }: FinalState, position: number): FleetCounts {
  const counts: FleetCounts = new Map();
  for (const rows of histories.values()) {
    const events = rows.filter((row) => row.position <= position).map((row) => readRunEvent(row).event);
    const [first] = rows;
    if (first === undefined || events.length === 0) continue;
    const state = foldRun(first.tenant, first.stream, events);
    addCount(counts, counterKey('run', first.tenant, state.workflow, state.status), 1);
    if (isEnded(state.status)) continue;
    const { tasks, activation } = openRows(state);
    addCount(counts, allTasks, tasks.length + (activation === null ? 0 : 1));
  }
  return counts;
}

function ofRuns(counts: FleetCounts): FleetCounts {
  const found: FleetCounts = new Map();
  for (const [key, count] of counts) {
    const { kind } = counterOf(key);
    if (kind === 'task') addCount(found, allTasks, count);
    if (kind === 'run') addCount(found, key, count);
  }
  return found;
}

const allTasks = 'tasks';

function textOf(counts: FleetCounts): string {
  return JSON.stringify([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}
