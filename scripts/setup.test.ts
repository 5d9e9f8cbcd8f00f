import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const setup = new URL('./setup.mjs', import.meta.url).href;
const node = process.execPath;

/** Calls `run` of setup.mjs in a process of its own and gives what it resolved to. */
async function outcomeOf(code: string, msMax: number): Promise<{ code: number; timedOut: boolean; output: string }> {
  const script = `
    const { run } = await import(${JSON.stringify(setup)});
    const outcome = await run(process.execPath, ['-e', ${JSON.stringify(code)}], { msMax: ${msMax} });
    console.log('\\n' + JSON.stringify(outcome));
  `;
  const { stdout } = await promisify(execFile)(node, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
  });
  const lines = stdout.trimEnd().split('\n');
  const outcome = JSON.parse(lines.pop() ?? '') as { code: number; timedOut: boolean };
  return { ...outcome, output: lines.join('\n') };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('run', () => {
  it('shows the output of a command and gives its exit code', async () => {
    const outcome = await outcomeOf("console.log('shown'); process.exitCode = 7", 10_000);
    expect(outcome).toMatchObject({ code: 7, timedOut: false });
    expect(outcome.output).toContain('shown');
  });

  it('gives the command no standard input', async () => {
    const code = "process.stdin.on('data', () => {}).on('end', () => console.log('ended'))";
    expect((await outcomeOf(code, 10_000)).output).toContain('ended');
  });

  it.skipIf(process.platform === 'win32')('gives 128 and the number of the signal that ended a command', async () => {
    expect(await outcomeOf("process.kill(process.pid, 'SIGKILL')", 10_000)).toMatchObject({ code: 137 });
  });

  it.skipIf(process.platform === 'win32')('kills a command that takes too long, with all that it started', async () => {
    const code = `
      const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
      console.log(child.pid);
      setInterval(() => {}, 1000);
    `;
    const outcome = await outcomeOf(code, 1_000);
    expect(outcome.timedOut).toBe(true);
    const grandchild = Number(outcome.output.trim());
    // The kernel may take a moment to bury it.
    await expect.poll(() => isAlive(grandchild), { timeout: 5_000 }).toBe(false);
  });
});
