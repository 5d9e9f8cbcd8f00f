import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { nodePorts } from './node-ports.js';

const { clock, hash, random, timers } = nodePorts;

describe('nodePorts', () => {
  it('hashes parts as if they were one text', () => {
    const whole = createHash('sha256').update('grün und rot').digest('hex');
    expect(hash.sha256('grün', new TextEncoder().encode(' und '), 'rot')).toBe(whole);
  });

  it('draws numbers in [0, 1) that are spread over it', () => {
    const tenths = new Set<number>();
    for (let i = 0; i < 5_000; i++) {
      const n = random.next();
      expect(n >= 0 && n < 1).toBe(true);
      tenths.add(Math.floor(n * 10));
    }
    expect(tenths.size).toBe(10);
  });

  it('hands out bytes that are never the same and that later draws do not change', () => {
    const seen = new Set<string>();
    const first = random.bytes(10);
    const kept = Buffer.from(first).toString('hex');
    for (let i = 0; i < 3_000; i++) seen.add(Buffer.from(random.bytes(10)).toString('hex'));
    expect(seen.size).toBe(3_000);
    expect(Buffer.from(first).toString('hex')).toBe(kept);
    expect(random.bytes(20_000)).toHaveLength(20_000);
  });

  it('runs a turn after every pending micro-task, and a cancelled timer never', async () => {
    const order: string[] = [];
    const cancel = timers.after(0, () => order.push('cancelled'));
    cancel();
    cancel();
    await new Promise<void>((resolve) => {
      timers.turn(() => {
        order.push('turn');
        timers.after(1, resolve);
      });
      void Promise.resolve()
        .then(() => order.push('micro 1'))
        .then(() => order.push('micro 2'));
    });
    expect(order).toEqual(['micro 1', 'micro 2', 'turn']);
  });

  it('does not fire a delay of more than 32 bits at once', async () => {
    let fired = false;
    const cancel = timers.after(2 ** 32, () => {
      fired = true;
    });
    await new Promise<void>((resolve) => timers.after(5, resolve));
    cancel();
    expect(fired).toBe(false);
  });

  it('has a monotonic clock and a wall clock in ms', () => {
    const before = clock.monotonicMs();
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(before);
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1_000);
  });

  it('does not keep a process alive with a pending timer', () => {
    const module = JSON.stringify(new URL('./node-ports.ts', import.meta.url).href);
    const program = `import { nodeTimers } from ${module}; nodeTimers.after(60_000, () => process.exit(7)); console.log("armed");`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', program];
    expect(execFileSync(process.execPath, args, { timeout: 30_000 }).toString()).toBe('armed\n');
  }, 40_000);
});
