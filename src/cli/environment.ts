/**
 * The only file of the package that reads the environment. Everything else is handed values.
 */
import type { Environment } from './io.js';

/** Variables that the command line reads, for help and the reference page. */
export const environmentVariables = {
  EVENTSPINE_URL: 'Address of the server, where `--url` is not given.',
  EVENTSPINE_TOKEN:
    'Bearer token: what clients and workers send, and what a server asks for, where `--token` is not given.',
  EVENTSPINE_STORE: 'SQLite file or URL of a PostgreSQL database, where `--store` is not given.',
  EVENTSPINE_DIRECT_URL:
    'URL of the same PostgreSQL database without a pooler between, where that of the store leads to one.',
  EVENTSPINE_PUSH_SECRET:
    'Secret with which a server signs the tasks that it sends to endpoints, the same for all servers of a store; while it is replaced, the new and the old one with a comma between.',
  DATABASE_URL:
    'URL of a PostgreSQL database: the store of `serve` and `start`, where neither `--store` nor EVENTSPINE_STORE is given.',
} as const;

/** Where a server listens unless told otherwise. */
export const defaultUrl = 'http://127.0.0.1:8787';

/** Reads the environment. An empty variable counts as absent. */
export function readEnvironment(variables: Readonly<Record<string, string | undefined>> = process.env): Environment {
  const value = (name: keyof typeof environmentVariables): string | undefined =>
    variables[name] === '' ? undefined : variables[name];
  return {
    url: value('EVENTSPINE_URL') ?? defaultUrl,
    token: value('EVENTSPINE_TOKEN'),
    store: value('EVENTSPINE_STORE'),
    databaseUrl: value('DATABASE_URL'),
    directUrl: value('EVENTSPINE_DIRECT_URL'),
    pushSecret: value('EVENTSPINE_PUSH_SECRET'),
  };
}

/** A variable that a file of the user names, for what must not stand in it. An empty one counts as absent. */
export function variableOf(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

/**
 * The environment that child processes get: the same, since the user's code in them may read what it likes; and the
 * token, because a command line can be read by everybody on the machine.
 */
export function childEnvironment(token?: string): NodeJS.ProcessEnv {
  return { ...process.env, ...(token === undefined ? {} : { EVENTSPINE_TOKEN: token }) };
}
