/** A user's project in a temporary folder, in which the built package resolves by its name as if it were installed. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Finished, finished } from '../support/finished.js';
import { type Child, eventspine, program, root } from '../support/processes.js';

export interface ProjectOptions {
  /** Names of fixtures to copy. */
  readonly files: readonly string[];
  /** Whether `tsx` is installed. Default true. */
  readonly tsx?: boolean;
  /** As of package.json; null = there is none, which means CommonJS. Default `module`. */
  readonly type?: 'module' | 'commonjs' | null;
}

export class Project {
  readonly folder = mkdtempSync(join(tmpdir(), 'eventspine-cli-'));

  constructor({ files, tsx = true, type = 'module' }: ProjectOptions) {
    mkdirSync(join(this.folder, 'node_modules'));
    symlinkSync(root, join(this.folder, 'node_modules/eventspine'));
    if (tsx) symlinkSync(join(root, 'node_modules/tsx'), join(this.folder, 'node_modules/tsx'));
    if (type !== null) writeFileSync(join(this.folder, 'package.json'), JSON.stringify({ type }));
    for (const file of files) {
      copyFileSync(fileURLToPath(new URL(`fixtures/${file}`, import.meta.url)), join(this.folder, file));
    }
  }

  /** Runs a command to its end. */
  run(...args: string[]): Promise<Finished> {
    return finished(process.execPath, [program, ...args], {
      folder: this.folder,
      environment: { DATABASE_URL: undefined },
    });
  }

  /** Starts a command that goes on. */
  begin(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Child {
    return eventspine(args, environment, this.folder);
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The address that a server tells with `--json`. */
export async function listening(server: Child): Promise<string> {
  const line = await server.line((one) => one.includes('"listening"'));
  return (JSON.parse(line) as { url: string }).url;
}

/** Lines of JSON, each of which must be JSON. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
