import { describe, expect, it } from 'vitest';
import { Witness } from './witness.js';

/** The answer of a database to the question: its head, and whether our newest commit is there. */
function answer(witness: Witness, head: number, hasCommit: boolean): readonly (readonly (string | null)[])[] {
  const [question] = witness.question();
  return [['0', String(head), hasCommit ? '1' : '0', String(question?.values[1])]];
}

describe('Witness', () => {
  it('asks nothing while it knows of nothing', () => {
    expect(new Witness('s').question()).toEqual([]);
  });

  it('finds a database whole that has what was known when it was asked, whatever was learnt since', () => {
    const witness = new Witness('s');
    witness.committed(7);
    witness.reached(100);
    const rows = answer(witness, 100, true);
    witness.reached(120);
    witness.committed(9);
    expect(() => witness.judge(rows)).not.toThrow();
  });

  it('finds a database that has lost events or our newest commit, and says so for ever', () => {
    for (const [head, hasCommit] of [
      [99, true],
      [100, false],
    ] as const) {
      const witness = new Witness('s');
      witness.committed(7);
      witness.reached(100);
      expect(() => witness.judge(answer(witness, head, hasCommit))).toThrow(/lost what it had acknowledged/);
      expect(() => witness.assertWhole()).toThrow(/lost what it had acknowledged/);
    }
  });
});
