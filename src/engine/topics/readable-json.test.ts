import { describe, expect, it } from 'vitest';
import type { Envelope } from '../../core/envelope.js';
import { nodePorts } from '../../runtime/index.js';
import type { EventRow, Store } from '../../store/contract.js';
import { eventValue } from '../waits/event-value.js';
import { arrivedEvent } from './arrivals.js';

const envelope: Partial<Envelope> = {
  id: 'e1',
  type: 'seen',
  schema: 'seen/2@0123456789abcdef',
  data: { topic: 'seen', key: 'k' },
  payload: { codec: 'json/1', size: 10, commitment: '', keyId: null },
};

function rowOf(text: string): EventRow {
  const payload = { salt: new Uint8Array(), text };
  return { tenant: 't', seq: 3, envelope: JSON.stringify(envelope), payload } as unknown as EventRow;
}

const context = { store: {} as Store, ports: nodePorts };

describe('an event of a topic that nobody can read', () => {
  const unreadable = rowOf('{"$newer":1}');

  it('has no fields to wait for, and holds up nobody', async () => {
    expect(await eventValue(context.store, unreadable, envelope as Envelope)).toBeUndefined();
    expect(await eventValue(context.store, rowOf('{"a":1}'), envelope as Envelope)).toEqual({ a: 1 });
  });

  it('passes no filter that asks for its data', async () => {
    const filter = { exact: { 'data.a': '1' } };
    expect(await arrivedEvent(context, unreadable, filter)).toMatchObject({ offset: 3, isWanted: false });
    expect(await arrivedEvent(context, rowOf('{"a":"1"}'), filter)).toMatchObject({ isWanted: true });
  });
});

describe('the schema of an event', () => {
  it('can be asked for by filters', async () => {
    const filter = { prefix: { dataschema: 'urn:eventspine:schema:seen%2F2' } };
    expect(await arrivedEvent(context, rowOf('1'), filter)).toMatchObject({ isWanted: true });
    expect(await arrivedEvent(context, rowOf('1'), { not: filter })).toMatchObject({ isWanted: false });
  });
});
