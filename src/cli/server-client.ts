/** The client that a command talks to a server with: address and token from flags, else from the environment. */
import { type Client, createClient } from '../client/index.js';
import { SpineError } from '../core/errors.js';
import type { Invocation } from './command.js';

/** A client for the server that the invocation names. Fails with COMMAND_INVALID where its address is no URL. */
export function clientFor({ flags, io }: Invocation): Client {
  const url = serverUrl(flags.text('url') ?? io.environment.url);
  const token = flags.text('token') ?? io.environment.token;
  // Ctrl-C gives up whatever is being asked.
  const fetch: typeof globalThis.fetch = (input, init) => {
    const signals = [io.signal, ...(init?.signal ? [init.signal] : [])];
    return globalThis.fetch(input, { ...init, signal: AbortSignal.any(signals) });
  };
  const tenant = flags.text('tenant');
  // A person waits at the terminal: two tries tell a hiccup from a server that is not there.
  return createClient({
    url,
    fetch,
    retry: { attempts: 2 },
    ...(token === undefined ? {} : { token }),
    ...(tenant === undefined ? {} : { tenant }),
  });
}

/** Checks an address; one without a scheme, like `localhost:8787`, is taken as plain HTTP. */
export function serverUrl(given: string): string {
  const url = /^[a-z]+:\/\//i.test(given) ? given : `http://${given}`;
  const fits = URL.canParse(url) && ['http:', 'https:'].includes(new URL(url).protocol);
  if (!fits) throw new SpineError('COMMAND_INVALID', { reason: `"${given}" is not the address of a server.` });
  return url;
}
