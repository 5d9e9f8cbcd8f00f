/**
 * A disk under a store that cannot be opened twice, such as SQLite in memory: the data stays open, and each life of the
 * server gets a handle with an epoch of its own. A newer handle shuts the older ones out, as a new owner of a file does.
 */
import { SpineError } from '../../core/errors.js';
import type { Store } from '../../store/index.js';
import type { SimDisk } from './simulation.js';

/** Makes a disk over an open store. The store itself is never closed. */
export function sharedDisk(data: Store): SimDisk {
  let owner = 0;
  return {
    shared: false,
    open: async () => {
      owner += 1;
      const epoch = owner;
      let closed = false;
      return new Proxy(data, {
        get(target, property) {
          if (property === 'epoch') return epoch;
          const value: unknown = Reflect.get(target, property, target);
          if (property === 'now' || typeof value !== 'function')
            return typeof value === 'function' ? (value.bind(target) as unknown) : value;
          return async (...given: readonly unknown[]): Promise<unknown> => {
            if (property === 'close') {
              closed = true;
              return;
            }
            if (closed || owner !== epoch) throw new SpineError('STORE_CLOSED', {});
            return Reflect.apply(value, target, given) as unknown;
          };
        },
      });
    },
  };
}
