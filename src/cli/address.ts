/** Where a server is to listen, out of flags. */
import type { Flags } from './command.js';

/** Host and port for `createServer`; what is not given is left to its defaults. */
export function addressOf(flags: Flags): { readonly host?: string; readonly port?: number } {
  const host = flags.text('host');
  const port = flags.number('port');
  return { ...(host === undefined ? {} : { host }), ...(port === undefined ? {} : { port }) };
}
