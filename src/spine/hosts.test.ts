import { describe, expect, it } from 'vitest';
import { SpineError } from '../core/errors.js';
import type { Manifest } from '../core/manifest.js';
import { nodePorts } from '../runtime/index.js';
import type { StoreFactory } from '../store/factory.js';
import { createMemoryStore } from '../store/memory.js';
import type { HostedWorker, Service } from './host.js';
import { type HostLease, leaseHost } from './hosts.js';

let places = 0;

/** A store that knows how often it was opened and refuses a second opener, as a file would. */
function fakeFile(log: string[] = []): StoreFactory & { failures: number } {
  let open = false;
  return {
    name: 'fake',
    location: `place-${places++}`,
    failures: 0,
    async open() {
      if (this.failures-- > 0) throw new SpineError('STORE_UNSUITABLE', { reason: 'not yet' });
      if (open) throw new SpineError('STORE_OWNED', { file: 'fake', owner: 'itself' });
      open = true;
      log.push('open');
      const store = createMemoryStore({ clock: nodePorts.clock });
      const close = store.close.bind(store);
      return Object.assign(store, {
        close: async () => {
          await close();
          if (open) log.push('close');
          open = false;
        },
      });
    },
  };
}

function manifest(app: string): Manifest {
  return { format: 1, app, topics: [], workflows: [], capabilities: [] };
}

/** A worker that writes down what is done to it. */
function hostedWorker(app: string, log: string[]): HostedWorker {
  return {
    start: async () => void log.push(`${app} starts`),
    drain: async () => void log.push(`${app} drains`),
    stop: async () => void log.push(`${app} stops`),
  };
}

function service(app: string, log: string[]): Service {
  return { manifest: () => manifest(app), worker: () => hostedWorker(app, log) };
}

function lease(store: StoreFactory, what: Service): HostLease {
  return leaseHost({ store, ports: nodePorts }, what, (error) => {
    throw error;
  });
}

describe('leaseHost', () => {
  it('opens nothing until it is asked to, and then once', async () => {
    const log: string[] = [];
    const one = lease(fakeFile(log), service('a', log));
    expect(log).toEqual([]);
    await Promise.all([one.host.open(), one.host.open()]);
    expect(log).toEqual(['open', 'a starts']);
    await one.release();
    expect(log).toEqual(['open', 'a starts', 'a drains', 'close']);
  });

  it('hands the open store to the newest app, whose worker follows the old one', async () => {
    const log: string[] = [];
    const file = fakeFile(log);
    const one = lease(file, service('a', log));
    await one.host.open();
    const two = lease(file, service('b', log));
    expect(two.host).toBe(one.host);
    const { engine } = await two.host.open();
    expect(engine.definitions().map((definition) => definition.app)).toContain('b');
    await two.host.settled();
    expect(log).toEqual(['open', 'a starts', 'a drains', 'b starts']);
    await two.release();
  });

  it('serves only the last of several apps when it was not open yet', async () => {
    const log: string[] = [];
    const file = fakeFile(log);
    lease(file, service('a', log));
    const two = lease(file, service('b', log));
    await two.host.open();
    expect(log).toEqual(['open', 'b starts']);
    await two.release();
  });

  it('is not closed by a spine that another has taken over from', async () => {
    const log: string[] = [];
    const file = fakeFile(log);
    const one = lease(file, service('a', log));
    await one.host.open();
    const two = lease(file, service('b', log));
    await one.release();
    expect(log).not.toContain('close');
    await two.release();
    expect(log.at(-1)).toBe('close');
  });

  it('opens again only when the closing before is over', async () => {
    const log: string[] = [];
    const file = fakeFile(log);
    const one = lease(file, service('a', log));
    await one.host.open();
    const closing = one.release();
    const two = lease(file, service('b', log));
    await two.host.open();
    await closing;
    expect(log).toEqual(['open', 'a starts', 'a drains', 'close', 'open', 'b starts']);
    await two.release();
  });

  it('may be opened again after a failure', async () => {
    const log: string[] = [];
    const file = fakeFile(log);
    file.failures = 1;
    const one = lease(file, service('a', log));
    await expect(one.host.open()).rejects.toMatchObject({ code: 'STORE_UNSUITABLE' });
    await one.host.open();
    expect(log).toEqual(['open', 'a starts']);
    await one.release();
  });

  it('leaves no store open when its worker cannot start', async () => {
    const log: string[] = [];
    const failing: Service = {
      manifest: () => manifest('a'),
      worker: () => ({ ...hostedWorker('a', log), start: () => Promise.reject(new Error('refused')) }),
    };
    const one = lease(fakeFile(log), failing);
    await expect(one.host.open()).rejects.toThrow('refused');
    expect(log).toEqual(['open', 'close']);
    await one.release();
  });

  it('shares nothing between stores without a location', () => {
    const nowhere: StoreFactory = { name: 'memory', open: () => Promise.reject(new Error('not opened')) };
    expect(lease(nowhere, service('a', [])).host).not.toBe(lease(nowhere, service('b', [])).host);
  });

  it('refuses to open what was closed', async () => {
    const one = lease(fakeFile(), service('a', []));
    await one.release();
    await expect(one.host.open()).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  });
});
