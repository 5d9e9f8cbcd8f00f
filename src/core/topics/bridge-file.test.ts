import { describe, expect, it } from 'vitest';
import { hasCode } from '../errors.js';
import { readBridgeFile } from './bridge-file.js';

const buses = { main: { url: 'kafka://localhost:9092' } };

function faultsOf(json: unknown): readonly string[] {
  try {
    readBridgeFile(json);
  } catch (error) {
    if (hasCode(error, 'BRIDGES_INVALID')) return (error as unknown as { detail: { faults: string[] } }).detail.faults;
    throw error;
  }
  return [];
}

describe('a file of bridges', () => {
  it('says what it leaves out', () => {
    const file = readBridgeFile({
      buses,
      bridges: [
        { name: 'orders-in', bus: 'main', in: 'orders', topic: 'order.placed' },
        {
          name: 'shipped-out',
          bus: 'main',
          topic: 'order.shipped',
          out: 'shipments',
          mode: 'structured',
          partitions: 3,
        },
      ],
    });
    expect(file.buses).toEqual({ main: { url: 'kafka://localhost:9092', options: {} } });
    expect(file.bridges).toEqual([
      {
        direction: 'in',
        name: 'orders-in',
        bus: 'main',
        tenant: 'default',
        topic: 'order.placed',
        outside: 'orders',
        batchMax: 100,
        from: 'oldest',
        group: 'eventspine-orders-in',
        accepts: 'cloudevents',
      },
      {
        direction: 'out',
        name: 'shipped-out',
        bus: 'main',
        tenant: 'default',
        topic: 'order.shipped',
        outside: 'shipments',
        batchMax: 100,
        from: 'oldest',
        mode: 'structured',
        partitions: 3,
      },
    ]);
  });

  it('names every fault at once, each with its place', () => {
    const bridges = [
      { name: 'a', bus: 'other', in: 'x', topic: 't', form: 1 },
      { name: 'a', bus: 'main', in: 'x y', topic: 't', batchMax: 0, accepts: 'avro' },
      { bus: 'main', out: 'o', topic: 't', group: 'g', from: 'now' },
      7,
    ];
    expect(faultsOf({ buses: { ...buses, 'b c': { url: 'localhost' } }, bridges, more: 1 })).toEqual([
      'the file.more is not known; known are buses, bridges',
      'buses.b c has a name with other characters than letters, digits, . _ -',
      'buses.b c.url is not a URL like kafka://localhost:9092',
      'bridges[0].form is not known; known are name, bus, tenant, topic, batchMax, dead, from, in, group, accepts',
      'bridges[0].bus names "other", which is not one of buses',
      'bridges[1].in is not a name of at most 128 letters, digits, . _ -',
      'bridges[1].batchMax is not a whole number from 1 to 1000',
      'bridges[1].accepts is not one of cloudevents, json',
      'bridges[2].group is not known; known are name, bus, tenant, topic, batchMax, dead, from, out, mode, partitions',
      'bridges[2].name is missing',
      'bridges[2].from is not one of oldest, newest',
      'bridges[3] is not an object',
      'bridges[3].bus is missing',
      'bridges[3].name is missing',
      'bridges[3].topic is missing',
      'bridges[3].in is missing',
      'bridges has two of the name "a"',
      'bridges has two of the name ""',
    ]);
    expect(faultsOf([])).toContain('the file is not an object');
    expect(faultsOf({ buses })).toEqual(['bridges is not a list']);
  });
});
