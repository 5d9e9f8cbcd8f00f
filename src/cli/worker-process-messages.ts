/** What a worker process and its supervisor say to each other. */

/** What a worker process is started with, as JSON in its first argument. */
export interface WorkerProcessOptions {
  /** File of the app, absolute. */
  readonly app: string;
  readonly url: string;
  readonly token?: string;
  readonly slots?: number;
}

/** Orders to a worker process. */
export interface ToWorkerProcess {
  /** Finish what is under way, give the rest back, end. */
  readonly type: 'drain';
}

/** Reports of a worker process. */
export type FromWorkerProcess =
  | { readonly type: 'ready'; readonly app: string }
  /** The app cannot be loaded or the server refuses it: starting again helps only when a file has changed. */
  | { readonly type: 'failed'; readonly message: string; readonly mend: string };
