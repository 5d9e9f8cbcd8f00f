/** The client's surface for API keys; for callers with the role `admin`. */
import type { Duration } from '../core/duration.js';
import type { KeyRequest, KeyView, MadeKeyView, PageView } from '../protocol/http.js';
import { pathOf } from '../protocol/route-paths.js';
import { pageList, type PageList } from './pages.js';
import { type CallOptions, command, get } from './run-handle.js';
import type { Transport } from './transport.js';

/** What a key may do and how long it is good for; see docs/guides/access.md. */
export interface KeyOptions extends Omit<KeyRequest, 'name' | 'expires'> {
  /** How long it is good for. Default 90 d. */
  readonly expires?: Duration | 'never';
}

/** Options of `keys.rotate`. */
export interface RotateOptions extends CallOptions {
  /** How long the text that the key had is accepted beside the new one; 0 = not at all. Default 1 h, at most 30 d. */
  readonly overlap?: Duration;
}

/** API keys of the tenant. FORBIDDEN without the role `admin`. */
export interface KeysApi {
  /** Makes a key; `key` of the answer is shown this once. KEY_INVALID, KEY_EXISTS, KEY_REFUSED where the caller has less. */
  create(name: string, key?: KeyOptions, options?: CallOptions): Promise<MadeKeyView>;
  /** By name, also those that have ended. */
  list(query?: CallOptions & { readonly limit?: number }): PageList<KeyView>;
  /** KEY_NOT_FOUND, as of all that follow. */
  get(name: string, options?: CallOptions): Promise<KeyView>;
  /** Gives a key another text. KEY_ENDED. */
  rotate(name: string, options?: RotateOptions): Promise<MadeKeyView>;
  /** Ends a key, on every server within two seconds. Again does nothing. */
  revoke(name: string, options?: CallOptions): Promise<KeyView>;
}

/** API keys over a transport. */
export function keysOver(transport: Transport): KeysApi {
  const one = (name: string, options?: CallOptions) => get(pathOf('readKey', { name }), options);
  return {
    // A lost answer has taken the text of the key with it: a second request would only hear that there is one.
    create: (name, key, options) => transport.json(command(pathOf('createKey'), { name, ...key }, false, options)),
    list: ({ signal, ...query } = {}) =>
      pageList((cursor) => {
        const options = signal === undefined ? {} : { signal };
        return transport.json<PageView<KeyView>>(get(pathOf('listKeys'), options, { ...query, cursor }));
      }),
    get: (name, options) => transport.json(one(name, options)),
    rotate: (name, { overlap, ...call } = {}) => {
      const body = overlap === undefined ? undefined : { overlap };
      return transport.json(command(pathOf('rotateKey', { name }), body, false, call));
    },
    revoke: (name, options) => transport.json({ ...one(name, options), method: 'DELETE' }),
  };
}
