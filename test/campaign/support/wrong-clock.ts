/**
 * A wall clock that a test moves under a running process (libfaketime). The monotonic clock is left alone, as it is when
 * somebody sets the time of a machine.
 */
import { chmodSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the library is; null = it is not installed. FAKETIME_LIBRARY names it where it is elsewhere. */
export function faketimeLibrary(): string | null {
  const given = process.env['FAKETIME_LIBRARY'];
  const folders = ['/usr/lib/faketime', '/usr/local/lib/faketime'];
  if (existsSync('/usr/lib')) {
    for (const name of readdirSync('/usr/lib'))
      if (name.endsWith('-linux-gnu')) folders.push(join('/usr/lib', name, 'faketime'));
  }
  const candidates = [...(given === undefined ? [] : [given]), ...folders.map((at) => join(at, 'libfaketimeMT.so.1'))];
  return candidates.find((file) => existsSync(file)) ?? null;
}

export class WrongClock {
  readonly #file: string;
  readonly #library: string;

  constructor(folder: string, name: string) {
    const library = faketimeLibrary();
    if (library === null) throw new Error('libfaketime is not installed');
    this.#library = library;
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
