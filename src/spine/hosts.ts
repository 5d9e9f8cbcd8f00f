/**
 * The hosts of this process, one per store. A development server evaluates a module again and again, and some bundlers
 * load a package twice; all of these copies must meet at one open file instead of locking each other out, so the
 * register lives on `globalThis`. Invariant: for a store with a location there is at most one host that is not closed.
 */
import { Host, type HostOptions, type Service } from './host.js';

/** The number is that of this shape: copies of the package that differ in it do not meet. */
const registerKey = Symbol.for('eventspine.hosts/1');

interface Entry {
  readonly host: Host;
  /** Who created or replaced the app last; only the last one may close the host. */
  holder: symbol;
}

interface Register {
  readonly hosts: Map<string, Entry>;
  readonly closing: Map<string, Promise<void>>;
}

/** A share in a host. */
export interface HostLease {
  readonly host: Host;
  /** Closes the host, unless somebody else has taken it over since. Idempotent. */
  release(): Promise<void>;
}

/** The host of a store: a new one, or the one that is there, which is then handed the new service. */
export function leaseHost(options: HostOptions, service: Service, onFault: (error: unknown) => void): HostLease {
  const { location } = options.store;
  if (location === undefined) {
    const host = new Host(options, service);
    return { host, release: () => host.close() };
  }
  const { hosts, closing } = register();
  const holder = Symbol(location);
  let entry = hosts.get(location);
  if (entry === undefined) {
    entry = { host: new Host(afterClose(options, closing, location), service), holder };
    hosts.set(location, entry);
  } else {
    entry.holder = holder;
    // The caller is synchronous; its next call waits for the host, and a worker that cannot start must be heard of.
    entry.host.replace(service).catch(onFault);
  }
  const { host } = entry;
  const shared = entry;
  return {
    host,
    async release() {
      if (shared.holder !== holder) return;
      if (hosts.get(location) === shared) hosts.delete(location);
      const closed = host.close();
      closing.set(location, closed);
      await closed.finally(() => {
        if (closing.get(location) === closed) closing.delete(location);
      });
    },
  };
}

/** A store that is being closed is opened again only when that is over. */
function afterClose(options: HostOptions, closing: Register['closing'], location: string): HostOptions {
  const { store } = options;
  return {
    ...options,
    store: {
      name: store.name,
      location,
      async open() {
        await closing.get(location)?.catch(() => undefined);
        return await store.open();
      },
    },
  };
}

function register(): Register {
  const holder = globalThis as { [registerKey]?: Register };
  holder[registerKey] ??= { hosts: new Map(), closing: new Map() };
  return holder[registerKey];
}
