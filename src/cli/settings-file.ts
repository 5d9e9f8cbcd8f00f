/**
 * Files of JSON that flags name, read before anything is opened. Secrets stay outside of them: `{ "env": "NAME" }` stands for a
 * variable, `{ "file": "path" }` for a file's text.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SpineError } from '../core/errors.js';
import { variableOf } from './environment.js';

type Members = Readonly<Record<string, unknown>>;

/** The JSON of a file. Fails with COMMAND_INVALID; `given`: the file as it was typed. */
export async function jsonOf(path: string, given: string, what: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SpineError('COMMAND_INVALID', { reason: `${what} in ${given} cannot be read: ${reason}.` });
  }
}

/** How the value of a file is completed. */
export interface Completion {
  /** Where files are looked for that it names. */
  readonly folder: string;
  /** The error of what is missing. */
  readonly error: (fault: string, cause?: unknown) => SpineError;
}

/** The value with what stands for variables and files replaced; `at` says where it is. Rejects with `error`. */
export async function completed(value: unknown, at: string, completion: Completion): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map((item, i) => completed(item, `${at}[${i}]`, completion)));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value as Members);
  const [only] = entries;
  if (entries.length === 1 && only !== undefined && typeof only[1] === 'string') {
    if (only[0] === 'env') return fromEnvironment(only[1], at, completion);
    if (only[0] === 'file') return fromFile(only[1], at, completion);
  }
  const members = await Promise.all(
    entries.map(
      async ([name, member]): Promise<[string, unknown]> => [
        name,
        await completed(member, `${at}.${name}`, completion),
      ],
    ),
  );
  return Object.fromEntries(members);
}

function fromEnvironment(name: string, at: string, { error }: Completion): string {
  const value = variableOf(name);
  if (value === undefined) throw error(`${at}: the variable ${name} is not set`);
  return value;
}

async function fromFile(given: string, at: string, { folder, error }: Completion): Promise<string> {
  try {
    return await readFile(resolve(folder, given), 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw error(`${at}: ${given} cannot be read: ${reason}`, cause);
  }
}
