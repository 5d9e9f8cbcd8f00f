/** Checkers of other people, used where they are installed; a suite that needs one is left out by name where it is not. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface ToolRun {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a program at the root of the repository. Null where there is no such program. */
export function runTool(
  program: string,
  args: readonly string[],
  options: { readonly input?: string; readonly environment?: Readonly<Record<string, string | undefined>> } = {},
): ToolRun | null {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, ...options.environment },
    ...(options.input === undefined ? {} : { input: options.input }),
  });
  if (error !== undefined) return null;
  return { code: status, output: `${stdout}${stderr}` };
}

/** Why a tool cannot be used, for `describeUnless`; null = it can. */
export function missingTool(program: string, probe: readonly string[], says: string): string | null {
  const run = runTool(program, probe);
  return run !== null && run.code === 0 ? null : `${[program, ...probe].join(' ')} does not work here; ${says}`;
}
