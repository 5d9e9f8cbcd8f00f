import { expect, it } from 'vitest';
import type { Transition } from '../../store/index.js';
import { move, start, topicEvent } from '../../testing/conformance/builders.js';
import { readTransition, writeTransition } from './transition-text.js';

const salt = Uint8Array.from({ length: 32 }, (_, i) => 255 - i);
const whole: Transition = {
  ...start({ run: 'run_1' }),
  dedupe: [{ scope: 'start:x', key: 'k "\\ \ud83e\udd95', hash: 'h', reference: 'run_1', expiresAt: 2 ** 52 }],
  publishes: [
    topicEvent({ payload: { salt, text: 'a \0 b' } }),
    topicEvent({ payload: { salt, blob: 'hash' } }),
    topicEvent({ payload: null }),
  ],
  blobs: [{ hash: 'hash', bytes: new Uint8Array([0, 1, 2, 253, 254, 255]).subarray(1) }],
};

it('gives back every transition as it was', () => {
  for (const transition of [whole, start({ run: 'run_2' }), move({ run: 'run_3', head: 4 }), { tenant: 't' }])
    expect(readTransition(writeTransition(transition))).toEqual(transition);
});

it('is a text that a column takes: no NUL, well-formed', () => {
  expect(writeTransition(whole)).not.toMatch(/[\0\p{Surrogate}]/u);
});

it('does not take labels for bytes', () => {
  const born = start({ run: 'run_1' });
  const labels = { $bytes: 'QQ==', salt: 'QQ==' };
  const runs = (born.runs ?? []).map((write) => ({ ...write, row: { ...write.row, labels } }));
  expect(readTransition(writeTransition({ ...born, runs })).runs?.[0]?.row.labels).toEqual(labels);
});
