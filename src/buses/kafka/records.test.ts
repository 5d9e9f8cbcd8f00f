import { describe, expect, it } from 'vitest';
import type { ClientBatch, ClientFetchedPartition } from './client-module.js';
import { deliveriesOf } from './records.js';

const partition = { topic: 'orders', topicId: 'id', partition: 2 };
const transactional = 0x10;
const control = 0x20;
const logAppendTime = 0x08;

function batch(firstOffset: number, values: readonly string[], more: Partial<ClientBatch> = {}): ClientBatch {
  return {
    firstOffset: BigInt(firstOffset),
    attributes: 0,
    lastOffsetDelta: values.length - 1,
    firstTimestamp: 1000n,
    maxTimestamp: 5000n,
    producerId: -1n,
    records: values.map((value, offsetDelta) => ({
      timestampDelta: BigInt(offsetDelta),
      offsetDelta,
      key: null,
      value: Buffer.from(value),
      headers: [],
    })),
    ...more,
  };
}

/** What ends a transaction; the kind is the second half of the key. */
function mark(offset: number, producerId: bigint, kind: 'aborted' | 'committed'): ClientBatch {
  const key = Buffer.from([0, 0, 0, kind === 'aborted' ? 0 : 1]);
  const record = { timestampDelta: 0n, offsetDelta: 0, key, value: null, headers: [] };
  return batch(offset, [''], { attributes: transactional | control, producerId, records: [record] });
}

function read(
  records: readonly ClientBatch[],
  from = 0,
  abortedTransactions: ClientFetchedPartition['abortedTransactions'] = null,
): { bodies: string[]; next: bigint } {
  const answer = { partitionIndex: 2, errorCode: 0, abortedTransactions, records };
  const { deliveries, next } = deliveriesOf(partition, BigInt(from), answer);
  return { bodies: deliveries.map(({ body }) => Buffer.from(body).toString()), next };
}

describe('deliveriesOf', () => {
  it('begins at the offset that was asked for, within a batch too', () => {
    expect(read([batch(4, ['a', 'b', 'c'])], 5)).toEqual({ bodies: ['b', 'c'], next: 7n });
  });

  it('bears holes', () => {
    const compacted = batch(10, ['a', 'b'], { lastOffsetDelta: 9 });
    expect(read([compacted, batch(30, ['c'])], 7)).toEqual({ bodies: ['a', 'b', 'c'], next: 31n });
  });

  it('stays where it is where there is nothing', () => {
    expect(read([], 7)).toEqual({ bodies: [], next: 7n });
    expect(deliveriesOf(partition, 7n, { partitionIndex: 2, errorCode: 0, abortedTransactions: null }).next).toBe(7n);
  });

  it('leaves out what was aborted, and the marks, and moves on behind them', () => {
    const of = { attributes: transactional, producerId: 7n };
    const log = [
      batch(0, ['plain']),
      batch(1, ['void 1', 'void 2'], of),
      batch(3, ['other'], { ...of, producerId: 8n }),
      mark(4, 7n, 'aborted'),
      batch(5, ['kept'], of),
      mark(6, 7n, 'committed'),
      batch(7, ['void 3'], of),
      mark(8, 7n, 'aborted'),
    ];
    const aborted = [
      { producerId: 7n, firstOffset: 7n },
      { producerId: 7n, firstOffset: 1n },
    ];
    expect(read(log, 0, aborted)).toEqual({ bodies: ['plain', 'other', 'kept'], next: 9n });
  });

  it('leaves out what was aborted where the mark comes only with the next answer', () => {
    const cut = [batch(1, ['void'], { attributes: transactional, producerId: 7n })];
    expect(read(cut, 1, [{ producerId: 7n, firstOffset: 0n }])).toEqual({ bodies: [], next: 2n });
  });

  it('reads headers as texts, names in lower case, the last of a name, and the id out of them', () => {
    const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text));
    const headers = [
      ['CE_Id', 'evt_1'],
      ['x', 'first'],
      ['x', 'last'],
      ['empty', null],
      ['__proto__', 'a name like any other'],
    ].map(([name = null, value = null]) => [bytes(name), bytes(value)] as const);
    const record = { timestampDelta: 3n, offsetDelta: 0, key: Buffer.from('k'), value: null, headers };
    const answer = {
      partitionIndex: 2,
      errorCode: 0,
      abortedTransactions: null,
      records: [batch(9, ['']), batch(10, [''], { records: [record] })],
    };
    const delivery = deliveriesOf(partition, 10n, answer).deliveries[0];
    expect(delivery).toMatchObject({
      id: 'evt_1',
      key: 'k',
      attempt: null,
      at: 1003,
      position: { ...partition, offset: 10n },
    });
    expect(Object.entries(delivery?.headers ?? {})).toEqual([
      ['ce_id', 'evt_1'],
      ['x', 'last'],
      ['empty', ''],
      ['__proto__', 'a name like any other'],
    ]);
    expect(delivery?.body).toEqual(new Uint8Array(0));
  });

  it('takes the time of the brokers where the topic is set so', () => {
    const answer = {
      partitionIndex: 2,
      errorCode: 0,
      abortedTransactions: null,
      records: [batch(0, ['a'], { attributes: logAppendTime })],
    };
    expect(deliveriesOf(partition, 0n, answer).deliveries[0]?.at).toBe(5000);
  });
});
