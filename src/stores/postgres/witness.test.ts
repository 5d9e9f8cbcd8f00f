import { describe, expect, it } from 'vitest';
import { Witness } from './witness.js';

/** What a database that has these answers to the question. */
function answer(witness: Witness, head: number, commits: readonly number[]): readonly (readonly (string | null)[])[] {
  const [commit, wanted] = (witness.question()[0]?.values ?? []).map(Number);
  const isWhole = head >= (wanted ?? 0) && (commit === 0 || commits.includes(commit ?? 0));
  return [['0', isWhole ? 't' : 'f']];
}

describe('Witness', () => {
  it('asks nothing while it knows of nothing', () => {
    expect(new Witness('s').question()).toEqual([]);
  });

  it('finds a database whole that has what was known when it was asked, whatever was learnt since', () => {
    const witness = new Witness('s');
    witness.reached(100);
    const before = answer(witness, 100, []);
    witness.committed(7);
    witness.reached(120);
    expect(() => witness.judge(before)).not.toThrow();
    const after = answer(witness, 120, [7]);
    witness.committed(9);
    expect(() => witness.judge(after)).not.toThrow();
  });

  it('finds a database that has lost events or our newest commit, and says so for ever', () => {
    for (const [head, commits] of [
      [99, [7]],
      [100, [6]],
    ] as const) {
      const witness = new Witness('s');
      witness.committed(7);
      witness.reached(100);
      expect(() => witness.judge(answer(witness, head, commits))).toThrow(/lost what it had acknowledged/);
      expect(() => witness.assertWhole()).toThrow(/lost what it had acknowledged/);
    }
  });
});
