/** Memory: what a run has used in server, engine, worker and client is given back when it has ended. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { Child, endAll, nightly } from '../support/processes.js';

const folder = mkdtempSync(join(tmpdir(), 'eventspine-leak-'));
/** Numbers of runs at which the heap is measured; by the first all caches and the compiler have come to rest. */
const [first, last] = nightly ? [20_000, 100_000] : [4_000, 10_000];
/** A forgotten entry of a map is a hundred bytes and more for each run, which is 8 MB at night. */
const growthMbMax = nightly ? 3 : 1.5;

afterAll(async () => {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
});

describe('the heap', () => {
  it('is no larger after many more runs', async () => {
    const program = fileURLToPath(new URL('../support/leak.mjs', import.meta.url));
    const file = join(folder, 'spine.db');
    const child = new Child(process.execPath, ['--expose-gc', program, file, String(first), String(last)]);
    const heapAt = async (runs: number): Promise<number> => {
      const line = await child.line((found) => found.startsWith(`{"runs":${runs},`), nightly ? 30 * 60_000 : 100_000);
      return (JSON.parse(line) as { readonly heapMb: number }).heapMb;
    };
    const before = await heapAt(first);
    expect((await heapAt(last)) - before).toBeLessThan(growthMbMax);
  });
});
