import { expect, it } from 'vitest';
import { viewState } from './views.js';

const row = { status: 'waiting', cancelRequested: false, head: 9 } as const;

it('shows a graph as what its nodes do', () => {
  expect(viewState(row, null, false, [{ state: 'ready' }, { state: 'leased' }])).toBe('running');
  expect(viewState(row, null, false, [{ state: 'delayed' }, { state: 'ready' }])).toBe('queued');
  expect(viewState(row, null, true, [{ state: 'delayed' }])).toBe('retrying');
  expect(viewState(row, null, false, [])).toBe('waiting');
  expect(viewState({ ...row, cancelRequested: true }, null, false, [{ state: 'leased' }])).toBe('cancelling');
});
