/** `eventspine serve`: a server alone. It loads no user code, nor what runs such code. */
import type { CommandRun } from '../command.js';
import { whileServed } from '../while-served.js';

/** Serves the API; workers connect from outside. */
export const serve: CommandRun = (invocation) =>
  whileServed(invocation, {
    service: { manifest: () => null, worker: null },
    defaultFile: 'eventspine.db',
    databaseUrl: true,
  });
