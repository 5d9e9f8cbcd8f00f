/**
 * Which forms of work a world has had, by what its log tells. A campaign that never meets a form proves nothing of it, and
 * must say so.
 */
import type { RunEventType } from '../../core/run/events.js';
import type { History } from './history.js';

/** The event by which each form shows. */
const signs = {
  calls: 'call.completed',
  sleeps: 'timer.fired',
  events: 'event.emitted',
  waits: 'wait.satisfied',
  signals: 'signal.received',
  children: 'child.ended',
  chains: 'run.continued',
  races: 'race.decided',
  streams: 'stream.appended',
  graphs: 'graph.started',
  agents: 'message.sent',
  versions: 'run.migrated',
  cancellations: 'run.cancelled',
  redrives: 'run.redriven',
} as const satisfies Record<string, RunEventType>;

/** A form of work. Schedules show by what a client was told, programs of the AI SDK by the paths of their tools. */
export type Form = keyof typeof signs | 'schedules' | 'tools';

/** All forms. */
export const forms: readonly Form[] = [...(Object.keys(signs) as (keyof typeof signs)[]), 'schedules', 'tools'];

/** How often each form was seen. */
export function formsOf({ final, operations }: History): Record<Form, number> {
  const types = new Map<string, number>();
  let tools = 0;
  for (const rows of final?.histories.values() ?? [])
    for (const { type, envelope } of rows) {
      types.set(type, (types.get(type) ?? 0) + 1);
      if (type === 'step.completed' && envelope.includes('/tool:')) tools += 1;
    }
  const schedules = operations.filter(({ kind, ackedAtMs }) => kind === 'schedule' && ackedAtMs !== null).length;
  const counts = Object.entries(signs).map(([form, type]) => [form, types.get(type) ?? 0]);
  return { ...(Object.fromEntries(counts) as Record<keyof typeof signs, number>), schedules, tools };
}
