/** Processes that are waited for: everything they said, and how they ended. */
import { spawn } from 'node:child_process';

/** A process that has ended. */
export interface Finished {
  /** Null where a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface FinishOptions {
  readonly folder?: string;
  /** Added to the environment; undefined takes a variable away. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** After this the process is killed and the call rejects. Default 60 s. */
  readonly ms?: number;
  /** Given to the standard input. */
  readonly input?: string;
}

/** Runs a command to its end, whatever its exit code. Rejects when it cannot be started or takes too long. */
export function finished(command: string, args: readonly string[], options: FinishOptions = {}): Promise<Finished> {
  const { folder, environment = {}, ms = 60_000, input } = options;
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...environment },
      ...(folder === undefined ? {} : { cwd: folder }),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${command} ${args.join(' ')} took longer than ${ms} ms\n${stdout}\n${stderr}`));
    }, ms);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr, ms: performance.now() - begun });
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** Like `finished`, for commands whose failure is a failure of the test. Rejects with what they said. */
export async function succeeded(
  command: string,
  args: readonly string[],
  options: FinishOptions = {},
): Promise<Finished> {
  const result = await finished(command, args, options);
  if (result.code === 0) return result;
  throw new Error(
    `${command} ${args.join(' ')} ended with ${String(result.code)}\n${result.stdout}\n${result.stderr}`.trim(),
  );
}
