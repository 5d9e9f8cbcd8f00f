/**
 * A wall clock that a test moves under a running process (libfaketime). The monotonic clock is left alone, as it is when
 * somebody sets the time of a machine.
 */
import { chmodSync, copyFileSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianPackage, libraryFolders } from '../../../scripts/debian.mjs';

/** Where the library is; null = it is not to be had. FAKETIME_LIBRARY names it where it is elsewhere. */
export function faketimeLibrary(): string | null {
  const given = process.env['FAKETIME_LIBRARY'];
  const installed = inFolders([...libraryFolders('/'), '/usr/local/lib'], given === undefined ? [] : [given]);
  if (installed !== null) return installed;
  try {
    return inFolders(libraryFolders(debianPackage('libfaketime')));
  } catch {
    return null;
  }
}

function inFolders(folders: readonly string[], first: readonly string[] = []): string | null {
  const candidates = [...first, ...folders.map((at) => join(at, 'faketime', 'libfaketimeMT.so.1'))];
  return candidates.find((file) => existsSync(file)) ?? null;
}

export class WrongClock {
  readonly #file: string;
  readonly #library: string;

  constructor(folder: string, name: string) {
    const library = faketimeLibrary();
    if (library === null) throw new Error('libfaketime is not installed');
    // What runs as another user does not get into a cache of ours.
    this.#library = join(folder, 'libfaketime.so');
    copyFileSync(library, this.#library);
    chmodSync(this.#library, 0o755);
    this.#file = join(folder, `${name}.clock`);
    this.set(0);
  }

  get environment(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: this.#library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      // Whoever reads the file through its own clock must not loop.
      FAKETIME_DONT_RESET: '1',
    };
  }

  /** Ahead of the true time by so many seconds from now on. */
  set(seconds: number): void {
    // Never half a file.
    writeFileSync(`${this.#file}.new`, `${seconds >= 0 ? '+' : ''}${seconds}\n`);
    chmodSync(`${this.#file}.new`, 0o644);
    renameSync(`${this.#file}.new`, this.#file);
  }

  remove(): void {
    rmSync(this.#file, { force: true });
  }
}
