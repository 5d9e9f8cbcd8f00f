/** Types of `postgres.mjs`, which is plain Node so that nothing needs to be compiled before it runs. */

/** A server that was started or found. */
export interface TestPostgres {
  readonly url: string;
  /** Which one it is, in words. */
  readonly source: string;
  /** Folder of its programs; null where it is somebody else's. */
  readonly bin: string | null;
  /** Ends what was started, removes what was made. */
  readonly stop: () => Promise<void>;
  /** Folder of the server, and in it that of its database files; absent where it is somebody else's. */
  readonly folder?: string;
  readonly data?: string;
  /** Process id of the postmaster; absent where it is somebody else's. */
  readonly pid?: number | null;
  /** Starts it again after it was killed; absent where it is somebody else's. */
  readonly start?: () => Promise<void>;
  /** Resolves when the postmaster has ended. */
  readonly ended?: Promise<unknown>;
}

export interface NoPostgres {
  readonly url: null;
  /** Why there is none. */
  readonly reason: string;
}

export function startPostgres(options?: {
  readonly fsync?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
}): Promise<TestPostgres | NoPostgres>;

/** Programs for servers of one's own. */
export interface PostgresPrograms {
  readonly bin: string;
  readonly env: Readonly<Record<string, string>>;
  /** Whom they run as, where we are root. */
  readonly as: { readonly uid?: number; readonly gid?: number };
  /** Which they are, in words. */
  readonly source: string;
}

export interface NoPrograms {
  readonly bin: null;
  readonly reason: string;
}

export function postgresPrograms(folder: string): PostgresPrograms | NoPrograms;
