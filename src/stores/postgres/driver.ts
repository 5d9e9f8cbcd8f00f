/**
 * The part of `pg` that the store uses, as types of our own, so that a pool can be passed in and the public types do
 * not name those of another package. `Submittable` is the hook that `pg` offers for protocols above single queries
 * (pg-cursor and pg-query-stream live on it); `pipeline.ts` uses it.
 */

/** What `pg` calls while it sends something and reads the answer. */
export interface Submittable {
  submit(connection: WireConnection): void;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void;
  handleCommandComplete(message: { readonly text: string }): void;
  handleEmptyQuery(): void;
  handlePortalSuspended(): void;
  handleCopyInResponse(): void;
  handleCopyData(): void;
  handleReadyForQuery(): void;
  handleError(error: Error): void;
}

/** The messages of the extended protocol that `pg` can write. */
export interface WireConnection {
  readonly stream: { cork?(): void; uncork?(): void };
  parse(message: { readonly text: string; readonly name: string; readonly types: readonly number[] }): void;
  bind(message: { readonly statement: string; readonly values: readonly (string | Buffer | null)[] }): void;
  execute(message: { readonly rows: number }): void;
  sync(): void;
}

/** A connection that was taken from a pool. */
export interface PostgresClient {
  /** The server process that the connection says it leads to. A pooler makes one up. */
  readonly processID?: number | null;
  query(submittable: Submittable): unknown;
  /** Gives the connection back; `true` closes it instead. */
  release(destroy?: boolean): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
}

/** A pool of `pg`. */
export interface PostgresPool {
  connect(): Promise<PostgresClient>;
  end(): Promise<void>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'connect', listener: (client: Pick<PostgresClient, 'on'>) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'connect', listener: (client: Pick<PostgresClient, 'on'>) => void): unknown;
}

/** A connection outside of any pool: for LISTEN and for migrations. */
export interface DirectClient {
  connect(): Promise<unknown>;
  query(text: string): Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }>;
  end(): Promise<void>;
  /** Whether it leads to the very server process that it names. A pooler makes that up, and may change it at any time. */
  isDirect(): Promise<boolean>;
  /** Calls back, once or more often, when the connection is gone. */
  onLost(listener: () => void): void;
  onNotification(listener: (payload: string) => void): void;
}

/** How a pool and a direct connection are made from a URL. */
export interface Connecting {
  readonly url: string;
  readonly name: string;
  readonly connectMs: number;
}

/** Opens a pool of at most `size` connections. Nothing is connected yet. */
export async function makePool(to: Connecting & { readonly size: number }): Promise<PostgresPool> {
  const { default: pg } = await import('pg');
  return new pg.Pool({
    connectionString: to.url,
    max: to.size,
    application_name: to.name,
    connectionTimeoutMillis: to.connectMs,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    // An embedding program ends when it wants to; open connections do not keep it.
    allowExitOnIdle: true,
  });
}

/** Makes a direct connection; `connect` is the caller's to call. */
export async function makeDirect(to: Connecting): Promise<DirectClient> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({
    connectionString: to.url,
    application_name: to.name,
    connectionTimeoutMillis: to.connectMs,
    keepAlive: true,
  });
  // An error that nobody hears would end the process; who uses the connection is told by the call that fails.
  client.on('error', () => undefined);
  return {
    connect: () => client.connect(),
    query: (text) => client.query(text),
    end: () => client.end(),
    isDirect: async () => {
      const { rows } = await client.query<{ readonly pid: number }>('SELECT pg_backend_pid() AS pid');
      // The types of the driver leave it out.
      return rows[0]?.pid === (client as { readonly processID?: number | null }).processID;
    },
    onLost: (listener) => {
      client.on('error', listener);
      client.on('end', listener);
    },
    onNotification: (listener) => void client.on('notification', ({ payload }) => listener(payload ?? '')),
  };
}
