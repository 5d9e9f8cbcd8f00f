import { expect, it } from 'vitest';
import type { RunEventView } from '../client/index.js';
import { noStream, streamOf } from './stream-log.js';

function logOf(...events: readonly (readonly [type: string, data: object, payload?: unknown])[]) {
  const made = events.map(
    ([type, data, payload], i): RunEventView => ({ seq: i + 1, id: '', type, at: '', actor: '', data, payload }),
  );
  return { events: made, dropped: 0 };
}

const written = (path: string, attempt: number, ...chunks: unknown[]) =>
  ['stream.appended', { path, attempt, offset: 0, count: chunks.length }, chunks] as const;

it('is empty until something is written', () => {
  expect(streamOf(logOf(['run.started', {}]), 'draft')).toBe(noStream);
});

it('has the chunks of its own path, in order', () => {
  const log = logOf(written('draft', 1, 'a', 'b'), written('other', 1, 'x'), written('draft', 1, 'c'));
  expect(streamOf(log, 'draft')).toEqual({ chunks: ['a', 'b', 'c'], attempt: 1, ended: false });
});

it('begins anew with another attempt', () => {
  const log = logOf(written('draft', 1, 'a'), written('draft', 2, 'b'));
  expect(streamOf(log, 'draft')).toEqual({ chunks: ['b'], attempt: 2, ended: false });
});

it('ends with what writes it, and with the run', () => {
  expect(
    streamOf(logOf(written('draft/notes', 1, 'a'), ['step.completed', { path: 'draft' }]), 'draft/notes').ended,
  ).toBe(true);
  expect(streamOf(logOf(written('draft', 1, 'a'), ['step.completed', { path: 'dra' }]), 'draft').ended).toBe(false);
  expect(streamOf(logOf(written('draft', 1, 'a'), ['run.cancelled', {}]), 'draft').ended).toBe(true);
});
