import { describe, expect, it } from 'vitest';
import { tallyOf, type Report } from './tally.mjs';

type Status = 'passed' | 'failed' | 'skipped' | 'todo' | 'pending';

function file(status: 'passed' | 'failed', ...tests: readonly [Status, string][]): Report['testResults'][number] {
  return {
    name: '/r/a.test.ts',
    status,
    assertionResults: tests.map(([of, title]) => ({ status: of, title, ancestorTitles: ['suite'] })),
  };
}

const count = (code: number, ...files: Report['testResults'][number][]) =>
  tallyOf('main', { testResults: files }, code, '/r');

describe('tallyOf', () => {
  it('counts tests over files', () => {
    const { tally, remarks } = count(
      1,
      file('passed', ['passed', 'a'], ['passed', 'b']),
      file('failed', ['failed', 'c'], ['passed', 'd']),
    );
    expect(tally).toEqual({ passed: 3, failed: 1, skipped: 0 });
    expect(remarks).toEqual([]);
  });

  it.each<Status>(['skipped', 'todo', 'pending'])('counts a test that is %s as skipped and names it', (status) => {
    const { tally, leftOut } = count(0, file('passed', ['passed', 'a'], [status, 'left out: needs root']));
    expect(tally).toEqual({ passed: 1, failed: 0, skipped: 1 });
    expect(leftOut).toEqual([{ name: 'a.test.ts > suite', reason: 'needs root' }]);
  });

  it('counts a file that could not be loaded as one failure', () => {
    expect(count(1, file('failed'), file('passed', ['passed', 'a'])).tally).toEqual({
      passed: 1,
      failed: 1,
      skipped: 0,
    });
  });

  it.each([
    ['a run without a report', () => tallyOf('main', null, 0, '/r')],
    ['a run without files', () => count(0)],
    ['a run without tests', () => count(0, file('passed'))],
    ['an exit code that no test explains', () => count(1, file('passed', ['passed', 'a']))],
  ])('counts %s as one failure and says so', (_, counted) => {
    const { tally, remarks } = counted();
    expect(tally.failed).toBe(1);
    expect(remarks).toHaveLength(1);
  });
});
