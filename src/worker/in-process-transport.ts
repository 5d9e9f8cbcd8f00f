/**
 * A transport to an engine in the same process: two queues instead of a socket. The engine's side is described by
 * structure, so that what joins the two (the embedded facade, tests, the simulator) lives above both.
 *
 * Invariant: neither side is ever called from within its own call; each message arrives in a later micro-task, in order.
 */
import { SpineError } from '../core/errors.js';
import type { ServerMessage, WorkerMessage } from '../protocol/worker.js';
import type { WorkerConnection, WorkerTransport } from './transport.js';

/** What the server's end sends through. */
export interface InProcessChannel {
  /** Says that the worker dies with the server: its next life need not wait until the session has fallen silent. */
  readonly inProcess: true;
  send(message: ServerMessage): void;
  bufferedBytes(): number;
  close(reason: string): void;
}

/** What the server's end receives by. */
export interface InProcessLine {
  receive(message: WorkerMessage): void;
  closed(): void;
}

/** What an in-process transport is joined to; `Engine` has it all. */
export interface InProcessServer {
  connect(channel: InProcessChannel): InProcessLine;
  putBlob(tenant: string, hash: string, bytes: Uint8Array): Promise<void>;
  readBlob(tenant: string, hash: string): Promise<Uint8Array | null>;
}

/** Joins a worker to a server in this process. There is one event loop, so beats go over the line itself. */
export function createInProcessTransport(server: InProcessServer): WorkerTransport {
  return {
    open: (onMessage, onClose) => joined(server, onMessage, onClose),
    putBlob: ({ tenant, hash }, bytes) => server.putBlob(tenant, hash, bytes),
    async getBlob({ tenant, hash }) {
      const bytes = await server.readBlob(tenant, hash);
      if (bytes === null) throw new SpineError('BLOB_NOT_FOUND', { blob: hash });
      return bytes;
    },
  };
}

function joined(
  server: InProcessServer,
  onMessage: (message: ServerMessage) => void,
  onClose: (reason: string) => void,
): WorkerConnection {
  let open = true;
  // What the worker has closed it does not want to hear of any more, though what it sent before still goes out.
  let listening = true;
  const later = (deliver: () => void): void => queueMicrotask(deliver);
  const line = server.connect({
    inProcess: true,
    send: (message) => later(() => open && listening && onMessage(message)),
    bufferedBytes: () => 0,
    close: (reason) =>
      later(() => {
        if (!open) return;
        open = false;
        line.closed();
        if (listening) onClose(reason);
      }),
  });
  return {
    send: (message) => later(() => open && line.receive(message)),
    close() {
      listening = false;
      later(() => {
        if (!open) return;
        open = false;
        line.closed();
      });
    },
    bufferedBytes: () => 0,
  };
}
