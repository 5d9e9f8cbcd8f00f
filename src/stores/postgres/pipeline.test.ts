import { expect, it } from 'vitest';
import { PreparedStatements } from './pipeline.js';

it('tells the server of a statement once, and of one that it may not have heard of under another name', () => {
  const prepared = new PreparedStatements(0);
  const first = prepared.nameOf('SELECT 1');
  expect(first?.isNew).toBe(true);
  expect(prepared.nameOf('SELECT 1')).toEqual({ name: first?.name, isNew: false });
  prepared.forget('SELECT 1');
  const again = prepared.nameOf('SELECT 1');
  expect(again?.isNew).toBe(true);
  expect(again?.name).not.toBe(first?.name);
});

it('has plans made anew soon after a connection is made, and less and less often', () => {
  const prepared = new PreparedStatements(0);
  const at: number[] = [];
  for (let ms = 0; ms <= 4_000; ms += 10) if (prepared.takeStale(ms)) at.push(ms);
  expect(at).toEqual([250, 750, 1_750, 3_750]);
});
