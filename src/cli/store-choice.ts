/**
 * Which store a command opens: a SQLite file, or the PostgreSQL database of a URL. Invariant: nothing that is shown or
 * logged holds a password.
 */
import { access, mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { SpineError } from '../core/errors.js';
import type { Store } from '../store/contract.js';
import type { StoreFactory } from '../store/factory.js';
import type { PostgresOptions } from '../stores/postgres/index.js';
import { sqlite } from '../stores/sqlite/index.js';
import type { Io } from './io.js';

/** A store that was named, before it is opened. */
export interface StoreChoice {
  readonly factory: StoreFactory;
  /** Where it is, for people: the absolute path of a file, or a URL without user and password. */
  readonly place: string;
}

/** How a store is looked for. */
export interface StoreSearch {
  /** What `--store` says. */
  readonly given: string | undefined;
  /** The file, where neither flag nor environment names a store. */
  readonly defaultFile: string;
  /** Whether DATABASE_URL counts: a database that an app has for itself is not to be filled by `dev`. */
  readonly databaseUrl: boolean;
  /** Where this server is reached, if that is known: told to whoever finds the file taken. */
  readonly url?: string;
}

const remote = /^[a-z][a-z0-9+.-]*:\/\//i;
const postgresUrl = /^postgres(?:ql)?:\/\//i;

/**
 * The store that flag or environment name: `--store`, else EVENTSPINE_STORE, else DATABASE_URL where that counts and is
 * one of PostgreSQL, else the default file, whose folder is made. Fails with COMMAND_INVALID.
 */
export async function chooseStore(search: StoreSearch, io: Pick<Io, 'environment' | 'folder'>): Promise<StoreChoice> {
  const { store, databaseUrl } = io.environment;
  const fallback =
    search.databaseUrl && databaseUrl !== undefined && postgresUrl.test(databaseUrl) ? databaseUrl : null;
  const named = search.given ?? store ?? fallback ?? search.defaultFile;
  if (remote.test(named)) return postgresChoice(named, io.environment.directUrl);
  const file = resolve(io.folder, named);
  await mkdir(dirname(file), { recursive: true });
  return { factory: sqlite({ file, ...(search.url === undefined ? {} : { url: search.url }) }), place: file };
}

/** A store that must be there already: opening a file would make a new one of a name that was only misspelt. */
export async function existingStore(given: string, io: Pick<Io, 'environment' | 'folder'>): Promise<StoreChoice> {
  if (remote.test(given)) return postgresChoice(given, io.environment.directUrl);
  const file = resolve(io.folder, given);
  await access(file).catch((error: unknown) => {
    throw new SpineError('COMMAND_INVALID', { reason: `There is no file ${given}.` }, { cause: error });
  });
  return { factory: sqlite({ file }), place: file };
}

function postgresChoice(given: string, directUrl: string | undefined): StoreChoice {
  if (!postgresUrl.test(given) || !URL.canParse(given)) {
    const reason = `"${placeOf(given)}" names no store; give a file, or a URL like postgres://user:password@host/database.`;
    throw new SpineError('COMMAND_INVALID', { reason });
  }
  const options = { url: given, ...(directUrl === undefined ? {} : { directUrl }) };
  return { factory: { name: 'postgres', open: () => openPostgres(options) }, place: placeOf(given) };
}

/** Loads the backend only where it is used. */
async function openPostgres(options: PostgresOptions): Promise<Store> {
  try {
    const { postgres } = await import('../stores/postgres/index.js');
    return await postgres(options).open();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    const reason = 'A store in PostgreSQL needs the package `pg`, which is not installed: npm install pg.';
    throw new SpineError('COMMAND_INVALID', { reason }, { cause: error });
  }
}

/** A URL without what must not be read by everybody. */
function placeOf(url: string): string {
  if (!URL.canParse(url)) return url.replace(/\/\/[^@/]*@/, '//');
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}
