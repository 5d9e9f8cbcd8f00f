/** Types of `nats.mjs`, which is plain Node so that nothing needs to be compiled before it runs. */

export interface NatsFound {
  readonly program: string;
  /** What it needs beside the environment of whoever starts it. */
  readonly env: Readonly<Record<string, string>>;
  /** Which one it is, in words. */
  readonly source: string;
  /** URLs of the modules of the client. */
  readonly client: { readonly transport: string; readonly jetstream: string };
}

export interface NoNats {
  readonly program: null;
  /** Why there is none. */
  readonly reason: string;
}

export function natsServer(): NatsFound | NoNats;
