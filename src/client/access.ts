/** The client's surface for the record of access. */
import type { AccessEventView } from '../protocol/http.js';
import { pathOf } from '../protocol/route-paths.js';
import { pageList, type PageList } from './pages.js';
import { type CallOptions, get } from './run-handle.js';
import type { Transport } from './transport.js';

/** Options of `access.log`. */
export interface AccessLogOptions extends CallOptions {
  /** `nobody`: what callers tried whom nobody knows; for operators. Default: what those of the tenant did. */
  readonly of?: 'tenant' | 'nobody';
  readonly limit?: number;
}

/** Who was refused what, and what operators and admins have done. For admins. */
export interface AccessApi {
  /** Newest first. FORBIDDEN. */
  log(options?: AccessLogOptions): PageList<AccessEventView>;
}

/** The surface over a transport. */
export function accessOver(transport: Transport): AccessApi {
  return {
    log: ({ signal, ...query } = {}) =>
      pageList((cursor) =>
        transport.json(
          get(pathOf('listAccessEvents'), signal === undefined ? undefined : { signal }, { ...query, cursor }),
        ),
      ),
  };
}
