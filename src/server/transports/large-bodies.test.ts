import { expect, it } from 'vitest';
import { limits } from '../../core/limits.js';
import { LargeBodies } from './large-bodies.js';

const mebibyte = 1024 * 1024;

it('holds so many bytes of large bodies, and small ones beside them', () => {
  const bodies = new LargeBodies(mebibyte);
  const first = bodies.share();
  const second = bodies.share();
  expect(first.grow(2 * mebibyte)).toBe(true);
  expect(first.grow(limits.largeBodiesBytesMax - 2 * mebibyte)).toBe(true);
  expect(second.grow(mebibyte)).toBe(true);
  expect(second.grow(2 * mebibyte)).toBe(true);
  expect(second.grow(2 * mebibyte + 1)).toBe(false);
  first.release();
  first.release();
  expect(second.grow(limits.largeBodiesBytesMax)).toBe(true);
  expect(bodies.share().grow(2 * mebibyte)).toBe(false);
  second.release();
  expect(bodies.share().grow(limits.largeBodiesBytesMax)).toBe(true);
});

it('has room for two of the largest values, however large these may be', () => {
  const bodies = new LargeBodies(limits.largeBodiesBytesMax);
  expect(bodies.share().grow(limits.largeBodiesBytesMax)).toBe(true);
  expect(bodies.share().grow(limits.largeBodiesBytesMax)).toBe(true);
});
