import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { bridgesOf } from './bridges.js';
import { driverOf, hostsOf } from './bus-drivers.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventspine-bridges-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

function write(file: unknown): void {
  writeFileSync(join(folder, 'b.json'), typeof file === 'string' ? file : JSON.stringify(file));
}

const bridge = { name: 'in', bus: 'main', in: 'orders', topic: 'orders' };

describe('--bridges', () => {
  it('means no bridges where it is not given', async () => {
    expect(await bridgesOf(undefined, folder)).toEqual([]);
  });

  it('takes secrets from variables and files beside it', async () => {
    vi.stubEnv('TEST_NATS_TOKEN', 'secret');
    writeFileSync(join(folder, 'ca.pem'), 'CA');
    const options = { token: { env: 'TEST_NATS_TOKEN' }, tls: { ca: [{ file: 'ca.pem' }] }, replicas: 99 };
    write({ buses: { main: { url: 'nats://127.0.0.1:4222', options } }, bridges: [bridge] });
    const [setup] = await bridgesOf('b.json', folder);
    expect(setup?.bridge).toMatchObject({ name: 'in', direction: 'in', group: 'eventspine-in' });
    // The adapter looks at its options when it is opened: they came through, and nothing else is wrong with them.
    await expect(setup?.open()).rejects.toMatchObject({
      code: 'BUS_OPTIONS_INVALID',
      detail: { faults: ['replicas is not a whole number between 1 and 5'] },
    });
  });

  it('says what is wrong before anything is opened', async () => {
    await expect(bridgesOf('none.json', folder)).rejects.toMatchObject({ code: 'COMMAND_INVALID' });
    write('{');
    await expect(bridgesOf('b.json', folder)).rejects.toMatchObject({ code: 'COMMAND_INVALID' });
    write({ buses: { main: { url: 'amqp://h' } }, bridges: [bridge] });
    await expect(bridgesOf('b.json', folder)).rejects.toThrow('there is no adapter for amqp://; there are kafka, nats');
    write({ buses: { main: { url: 'nats://h', options: { token: { env: 'TEST_NOT_SET' } } } }, bridges: [bridge] });
    await expect(bridgesOf('b.json', folder)).rejects.toThrow('the variable TEST_NOT_SET is not set');
    write({ buses: { main: { url: 'nats://h', options: { tls: { ca: { file: 'no.pem' } } } } }, bridges: [bridge] });
    await expect(bridgesOf('b.json', folder)).rejects.toThrow('buses.main.options.tls.ca: no.pem cannot be read');
  });

  it('finds the adapter by the scheme, and the servers in the rest of the URL', () => {
    expect(hostsOf('kafka://one:9092,two:9092/')).toEqual(['one:9092', 'two:9092']);
    expect(driverOf('KAFKA://one:9092')).toBe(driverOf('kafka://two'));
  });
});
