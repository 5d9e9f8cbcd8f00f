import { expect, it } from 'vitest';
import { limits } from '../core/limits.js';
import { nodePorts } from '../runtime/index.js';
import { PayloadBlobs } from './payload-blobs.js';

it('moves so many bytes at one time, in the order in which they came', async () => {
  const moving: (() => void)[] = [];
  const order: number[] = [];
  const blobs = new PayloadBlobs({
    ports: nodePorts,
    path: () => '/blobs',
    transport: {
      getBlob: () => Promise.reject(new Error('nothing is read')),
      putBlob: (_, bytes) => {
        order.push(bytes.byteLength);
        return new Promise((resolve) => moving.push(resolve));
      },
    },
  });
  const third = limits.transferBytesMax / 4;
  const sizes = [3 * third, 2 * third, 1, third, 5 * third];
  const stored = sizes.map((size) => blobs.store('t', { codec: 'json/1', text: 'x'.repeat(size) }));
  await turn();
  expect(order).toEqual([3 * third]);
  moving.shift()?.();
  await turn();
  // What is larger than all of the room goes alone.
  expect(order).toEqual([3 * third, 2 * third, 1, third]);
  for (const go of moving.splice(0)) go();
  await turn();
  expect(order).toEqual(sizes);
  for (const go of moving.splice(0)) go();
  expect((await Promise.all(stored)).map(({ size }) => size)).toEqual(sizes);
});

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
