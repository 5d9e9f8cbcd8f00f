/**
 * A host with a server on a port: what `serve`, `start` and `dev` have in common. Invariant: `close` lets requests and
 * work under way finish before the store is closed.
 */
import { SpineError } from '../core/errors.js';
import type { EngineLog } from '../engine/index.js';
import { createServer, type RedactOptions, type ServerAddress } from '../server/index.js';
import { Host, type Service } from '../spine/host.js';
import { accessOf } from './access-file.js';
import { addressOf } from './address.js';
import { bridgesOf } from './bridges.js';
import type { Flags, Invocation } from './command.js';
import type { Io } from './io.js';
import { packageVersion } from './package-version.js';
import { chooseStore } from './store-choice.js';

/** A server at work. */
export interface ServedHost {
  readonly address: ServerAddress;
  /** Where the store is: the absolute path of a file, or a URL without user and password. */
  readonly place: string;
  /** Resolves with the reason when the store has failed for ever; nothing can be recorded any more. */
  readonly failed: Promise<Error>;
  close(): Promise<void>;
}

/** Opens store, engine and server. Rejects with the errors of each; whatever was opened is closed again then. */
export async function openServedHost(
  invocation: Invocation,
  service: Service,
  search: { readonly defaultFile: string; readonly databaseUrl: boolean },
): Promise<ServedHost> {
  const { flags, io } = invocation;
  const access = await accessOf(flags, io);
  const bridges = await bridgesOf(flags.declares('bridges') ? flags.text('bridges') : undefined, io.folder);
  const { factory, place } = await chooseStore({ ...search, ...knownUrl(flags), given: flags.text('store') }, io);
  const host = new Host({ store: factory, version: await packageVersion(), bridges, log: logTo(io) }, service);
  try {
    const { engine, store } = await host.open();
    const server = createServer({
      engine,
      ...addressOf(flags),
      ...access,
      ...clearedFor(flags.text('clear')),
      push: {
        secret: io.environment.pushSecret?.split(',').map((secret) => secret.trim()) ?? [],
        allowLoopback: flags.truth('push-loopback'),
      },
      webhooks: { allowLoopback: flags.truth('webhook-loopback') },
    });
    const address = await server.listen().catch((error: unknown) => {
      throw listenError(error, flags);
    });
    return {
      address,
      place,
      failed: store.failed,
      async close() {
        await server.close();
        await host.close();
      },
    };
  } catch (error) {
    await host.close();
    throw error;
  }
}

/** What operators are shown of tagged fields; what is no tag is told by the server's own check. */
function clearedFor(tags: string | undefined): { readonly redact?: RedactOptions } {
  return tags === undefined ? {} : { redact: { roles: { operator: tags.split(',').map((tag) => tag.trim()) } } };
}

/** Why the system does not let a server listen, in the catalogue's words. */
function listenError(error: unknown, flags: Flags): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = { EADDRINUSE: 'another process listens there', EACCES: 'the system does not allow it' }[code ?? ''];
  if (reason === undefined && code !== 'EADDRNOTAVAIL') return error;
  const { host = '127.0.0.1', port = 8787 } = addressOf(flags);
  return new SpineError(
    'ADDRESS_UNAVAILABLE',
    { address: `${host}:${port}`, reason: reason ?? message },
    { cause: error },
  );
}

/** The address, where it is known before the server listens: told to whoever finds the file taken. */
function knownUrl(flags: Flags): { readonly url?: string } {
  const { host = '127.0.0.1', port = 8787 } = addressOf(flags);
  return port === 0 ? {} : { url: `http://${host}:${port}` };
}

/** Warnings and errors of the engine, as lines for the person at the terminal. */
function logTo(io: Io): EngineLog {
  return ({ level, message, fields }) => {
    if (level !== 'warn' && level !== 'error') return;
    io.err(`${level}  ${message}${fields === undefined ? '' : `  ${JSON.stringify(fields)}`}`);
  };
}
