/**
 * The line from a worker to a server, as a port: a WebSocket, a pair of queues in one process, or a simulated network.
 * A transport moves messages and blobs and knows nothing of sessions; coming back after a loss is the work of
 * `session-link.ts`.
 *
 * Invariant: messages of one connection arrive in the order in which they were sent, or the connection closes.
 */
import type { ServerMessage, WorkerMessage } from '../protocol/worker.js';
import type { SharedPulse } from './shared-pulse.js';

/** One connection. It may be used as soon as `open` has returned: what is sent before it stands is kept. */
export interface WorkerConnection {
  /** Hands a message over. After a close, from either side, it does nothing. */
  send(message: WorkerMessage): void;
  /** Ends the connection; `onClose` is not called. Idempotent. */
  close(): void;
  /** Bytes handed to `send` that have not left yet. */
  bufferedBytes(): number;
}

/** Where a blob lies: `blobs` is the path out of `welcome`, `hash` the sha-256 (hex) of its bytes. */
export interface BlobAddress {
  readonly blobs: string;
  readonly tenant: string;
  readonly hash: string;
}

/** What a heart needs to beat for a session from another thread. */
export interface HeartOptions {
  readonly session: string;
  readonly beatMs: number;
  readonly pulse: SharedPulse;
  /** The server says that the session is over. */
  readonly onSessionOver: (reason: string) => void;
  /** The heart has failed for good; the session now lives by the beats of the data line alone. */
  readonly onFault: (reason: string) => void;
}

/** A heartbeat that goes on while user code blocks the main thread. */
export interface Heart {
  /** Idempotent. */
  stop(): void;
}

/** What a worker needs to reach a server. */
export interface WorkerTransport {
  /**
   * Opens a connection. `onClose` is called once when it cannot be opened or is lost, and never after `close`; neither
   * callback is called before `open` has returned.
   */
  open(onMessage: (message: ServerMessage) => void, onClose: (reason: string) => void): WorkerConnection;
  /** Stores bytes under their hash; storing the same again does nothing. Rejects where that fails. */
  putBlob(address: BlobAddress, bytes: Uint8Array): Promise<void>;
  /** The bytes of a blob; rejects with BLOB_NOT_FOUND where there are none. */
  getBlob(address: BlobAddress): Promise<Uint8Array>;
  /** Starts a second heartbeat beside that of the data line. Absent = there is no loop of its own to protect. */
  startHeart?(options: HeartOptions): Heart;
  /** Keeps the process alive until the returned function is called. Absent = the process has other reasons to live. */
  keepAlive?(): () => void;
}
