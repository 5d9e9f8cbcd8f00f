import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { wakes, type RunEventType } from '../../src/core/run/events.js';
import { isEnded, type RunStatus, type Unit } from '../../src/core/run/state.js';
import { runViewStates } from '../../src/protocol/http.js';
import type { TaskState } from '../../src/store/contract.js';
import { sections, tableNames, tableRows } from './markdown.js';

/** Statuses of each kind of unit; the types make the compiler refuse a table that is not the code's. */
type StatusOf<K extends Unit['kind']> =
  Extract<Unit, { kind: K }> extends { status: infer S extends string } ? S : never;

const statuses: Readonly<Record<RunStatus, true>> = {
  active: true,
  waiting: true,
  succeeded: true,
  failed: true,
  cancelled: true,
  refused: true,
  continued: true,
};
const units: {
  readonly Step: Readonly<Record<StatusOf<'step'>, true>>;
  readonly Call: Readonly<Record<StatusOf<'call'>, true>>;
  readonly Inference: Readonly<Record<StatusOf<'inference'>, true>>;
  readonly Timer: Readonly<Record<StatusOf<'timer'>, true>>;
  readonly Child: Readonly<Record<StatusOf<'child'>, true>>;
  readonly Wait: Readonly<Record<StatusOf<'wait'>, true>>;
  readonly Task: Readonly<Record<TaskState, true>>;
} = {
  Step: { started: true, retrying: true, due: true, completed: true, failed: true, cancelled: true },
  Call: { scheduled: true, retrying: true, completed: true, failed: true, cancelled: true },
  Inference: {
    held: true,
    admitted: true,
    begun: true,
    retrying: true,
    due: true,
    completed: true,
    failed: true,
    cancelled: true,
  },
  Timer: { set: true, fired: true, cancelled: true },
  Child: { started: true, stopping: true, succeeded: true, failed: true, cancelled: true },
  Wait: { open: true, satisfied: true, expired: true, cancelled: true },
  Task: { ready: true, delayed: true, held: true, leased: true },
};

const page = sections(readFileSync(new URL('../../docs/reference/states.md', import.meta.url), 'utf8'));

describe('docs/reference/states.md', () => {
  it('lists the statuses of a run as recorded and its states as shown, and no others', () => {
    const names = tableNames(page.get('Run') ?? '');
    expect(new Set(names)).toEqual(new Set([...Object.keys(statuses), ...runViewStates]));
  });

  it('says of each ended status that it has ended', () => {
    const rows = tableRows(page.get('Run') ?? '');
    const ended = rows.find((row) => row[1] === 'ended')?.[0] ?? '';
    for (const status of Object.keys(statuses) as RunStatus[]) {
      expect([status, ended.includes(`\`${status}\``)]).toEqual([status, isEnded(status)]);
    }
  });

  it('lists the events that wake a run, and no others', () => {
    const sentence = /Events that wake: ([^.]*\.[^.]*)+?\.\n/.exec(page.get('Activation') ?? '')?.[0] ?? '';
    const names = [...sentence.matchAll(/`([^`]+)`/g)].map((match) => match[1] as RunEventType);
    expect(names).toHaveLength(11);
    expect(names.filter((name) => !wakes(name))).toEqual([]);
  });

  it.each(Object.entries(units))('lists the states of a %s and no others', (section, states) => {
    expect(tableNames(page.get(section) ?? '').sort()).toEqual(Object.keys(states).sort());
  });
});
