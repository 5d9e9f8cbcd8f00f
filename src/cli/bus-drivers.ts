/**
 * Which adapter a bus is reached by, by the scheme of its URL. Each is loaded only where a file names it, with the client that
 * the user has installed for it.
 */
import type { Bus } from '../bus/port.js';
import { SpineError } from '../core/errors.js';
import type { BusPlaceSpec } from '../core/topics/bridge.js';

/** Connects to a bus. Options of adapters are checked by them, each with its own error. */
type Driver = (place: BusPlaceSpec) => Promise<Bus>;

const drivers: Readonly<Record<string, Driver>> = {
  kafka: async ({ url, options }) => {
    const { kafka } = await import('../buses/kafka/index.js');
    return kafka({ ...options, brokers: hostsOf(url) });
  },
  nats: async ({ url, options }) => {
    const { nats } = await import('../buses/nats/index.js');
    return nats({ ...options, servers: hostsOf(url) });
  },
};

/** Whether there is an adapter for the URL, and which there are. */
export function driverOf(url: string): Driver {
  const scheme = url.slice(0, url.indexOf(':')).toLowerCase();
  const driver = drivers[scheme];
  if (driver !== undefined) return driver;
  const faults = [`there is no adapter for ${scheme}://; there are ${Object.keys(drivers).join(', ')}`];
  throw new SpineError('BRIDGES_INVALID', { faults });
}

/** `host:port` of each server of a URL like `kafka://one:9092,two:9092`. */
export function hostsOf(url: string): readonly string[] {
  return url
    .slice(url.indexOf('://') + 3)
    .replace(/\/.*$/, '')
    .split(',')
    .filter((host) => host !== '');
}
