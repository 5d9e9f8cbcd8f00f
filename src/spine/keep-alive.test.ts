import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { keepAlive } from './keep-alive.js';

describe('keepAlive', () => {
  it('settles as the work does', async () => {
    expect(await keepAlive(Promise.resolve(7))).toBe(7);
    await expect(keepAlive(Promise.reject(new Error('no')))).rejects.toThrow('no');
  });

  it('holds a process that waits for nothing else, and lets it end afterwards', () => {
    const module = JSON.stringify(new URL('./keep-alive.ts', import.meta.url).href);
    const program = `
      import { keepAlive } from ${module};
      const work = new Promise((done) => setTimeout(done, 50).unref());
      await keepAlive(work);
      console.log('done');`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', program];
    expect(execFileSync(process.execPath, args, { timeout: 30_000 }).toString()).toBe('done\n');
  }, 40_000);
});
