/**
 * Tells of changes in the source files under a folder. Folders are watched one by one, because a recursive watch also
 * walks through `node_modules`. Invariant: a burst of changes (an editor that writes, renames and deletes; a branch
 * that is checked out) is told once, when it is over.
 */
import { type FSWatcher, watch } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Timers } from '../core/ports.js';

/** Options of a watch. */
export interface WatchOptions {
  readonly folder: string;
  readonly timers: Timers;
  /** Told of a burst of changes, with the last file that changed. */
  readonly onChange: (file: string) => void;
  /** Told when the folder cannot be watched (any more); nothing is noticed from then on. */
  readonly onFault: (reason: string) => void;
  /** Quiet time after which a burst is over. Longer tells later, shorter may tell twice. Default 150 ms. */
  readonly quietMs?: number;
}

/** Folders of one tree that are watched; a project with more is better watched by its own tools. */
const foldersMax = 500;
/** Code only: workers may well write data, JSON among it, beside their source, and must not be replaced for that. */
const sourceFile = /\.[cm]?[jt]sx?$/;

/** Begins to watch; the returned function ends it. */
export async function watchFolder(options: WatchOptions): Promise<() => void> {
  const { timers, onChange, onFault, quietMs = 150 } = options;
  const watchers = new Map<string, FSWatcher>();
  let cancelQuiet: (() => void) | null = null;
  let ended = false;

  function changed(folder: string, kind: string, name: string | null): void {
    if (name === null || isIgnored(name)) return;
    // A new folder shows as a rename of its name in the folder above.
    if (kind === 'rename') void add(join(folder, name));
    if (!sourceFile.test(name)) return;
    cancelQuiet?.();
    cancelQuiet = timers.after(quietMs, () => onChange(join(folder, name)));
  }

  async function add(folder: string): Promise<void> {
    if (ended || watchers.has(folder) || watchers.size >= foldersMax) return;
    try {
      const entries = await readdir(folder, { withFileTypes: true });
      if (ended || watchers.has(folder)) return;
      const watcher = watch(folder, { persistent: false }, (kind, name) => changed(folder, kind, name));
      watchers.set(folder, watcher);
      watcher.on('error', () => remove(folder));
      for (const entry of entries) {
        if (entry.isDirectory() && !isIgnored(entry.name)) await add(join(folder, entry.name));
      }
    } catch (error) {
      // What was renamed was a file, or is gone again. Only the folder that was asked for must be there.
      if (folder === options.folder) onFault(error instanceof Error ? error.message : String(error));
    }
  }

  function remove(folder: string): void {
    watchers.get(folder)?.close();
    watchers.delete(folder);
    if (folder === options.folder && !ended) onFault('the folder is gone');
  }

  await add(options.folder);
  return () => {
    ended = true;
    cancelQuiet?.();
    for (const watcher of watchers.values()) watcher.close();
    watchers.clear();
  };
}

/** What never is the source of an app: dependencies, version control, stores, and anything hidden. */
function isIgnored(name: string): boolean {
  return name.startsWith('.') || name === 'node_modules';
}
