import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { nodePorts } from '../runtime/index.js';
import { watchFolder } from './watch-folder.js';

const folders: string[] = [];
let stop: (() => void) | null = null;

afterEach(async () => {
  stop?.();
  stop = null;
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

/** Watches a fresh folder; `next` resolves with the name of the next change told. */
async function watched(): Promise<{ folder: string; next(): Promise<string>; told: string[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'eventspine-watch-'));
  folders.push(folder);
  await mkdir(join(folder, 'node_modules'));
  await mkdir(join(folder, 'lib'));
  const told: string[] = [];
  let onTold: (name: string) => void = () => undefined;
  stop = await watchFolder({
    folder,
    timers: nodePorts.timers,
    quietMs: 30,
    onChange: (file) => {
      told.push(basename(file));
      onTold(basename(file));
    },
    onFault: (reason) => told.push(`fault: ${reason}`),
  });
  const next = (): Promise<string> =>
    new Promise((resolve) => {
      onTold = resolve;
    });
  return { folder, next, told };
}

describe('watchFolder', () => {
  it('tells of code that changes, in folders below too, and of a burst once', async () => {
    const { folder, next, told } = await watched();
    const change = next();
    await writeFile(join(folder, 'lib', 'a.ts'), '1');
    await writeFile(join(folder, 'b.mjs'), '2');
    await writeFile(join(folder, 'lib', 'c.tsx'), '3');
    await change;
    expect(told).toHaveLength(1);
  });

  it('is silent about dependencies, data and hidden files', async () => {
    const { folder, next, told } = await watched();
    await writeFile(join(folder, 'node_modules', 'x.js'), '1');
    await writeFile(join(folder, 'data.json'), '{}');
    await writeFile(join(folder, '.hidden.ts'), '1');
    // Events come in order, so when this one is there the others have been looked at.
    const change = next();
    await writeFile(join(folder, 'last.ts'), '1');
    expect(await change).toBe('last.ts');
    expect(told).toEqual(['last.ts']);
  });

  it('follows into folders that are made later', async () => {
    const { folder, next } = await watched();
    await mkdir(join(folder, 'later'));
    // The new folder is watched some time after it was made; writing until it is told does not depend on when.
    let told = false;
    const change = next().then(() => {
      told = true;
    });
    for (let i = 0; i < 200 && !told; i++) {
      await writeFile(join(folder, 'later', 'x.ts'), String(i));
      await Promise.race([change, new Promise((resolve) => setTimeout(resolve, 40))]);
    }
    expect(told).toBe(true);
  });

  it('says when the folder cannot be watched', async () => {
    const faults: string[] = [];
    const end = await watchFolder({
      folder: join(tmpdir(), 'eventspine-not-there'),
      timers: nodePorts.timers,
      onChange: () => undefined,
      onFault: (reason) => faults.push(reason),
    });
    end();
    expect(faults).toHaveLength(1);
  });
});
