/**
 * JSON given on the command line: as the word itself, as `@file`, or as `-` for the standard input. Text that is no
 * JSON is refused and never guessed to be a string, so that a forgotten quote does not become data.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SpineError } from '../core/errors.js';
import type { Io } from './io.js';

/** Reads the value. `what` names it in complaints. Fails with COMMAND_INVALID. */
export async function jsonArgument(given: string, what: string, io: Io): Promise<unknown> {
  const text = await textOf(given, what, io);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SpineError('COMMAND_INVALID', { reason: `The ${what} is not valid JSON: ${reason}.` });
  }
}

async function textOf(given: string, what: string, io: Io): Promise<string> {
  if (given === '-') return await io.readInput();
  if (!given.startsWith('@')) return given;
  try {
    return await readFile(resolve(io.folder, given.slice(1)), 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SpineError('COMMAND_INVALID', { reason: `The ${what} cannot be read: ${reason}.` });
  }
}
