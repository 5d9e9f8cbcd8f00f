import { expect, it } from 'vitest';
import { headersOf, messageIdOf, readHeaders, safeName } from './names.js';

it('spells what NATS does not allow in names by its code, and no two names alike', () => {
  expect(safeName('orders-1')).toBe('orders-1');
  expect(safeName('a.b')).toBe('a_2e_b');
  expect(new Set(['a.b', 'a_b', 'a_2e_b', 'ä b', 'a b'].map(safeName)).size).toBe(5);
});

it('has attributes of events under the names of the NATS binding, percent-encoded, and reads them back', () => {
  const message = {
    id: 'e 1',
    key: 'k/ä',
    headers: { ce_id: 'e 1', ce_subject: '5 € "x" 100%', 'content-type': 'a/b' },
  };
  const pairs = headersOf(message);
  expect(pairs).toContainEqual(['ce-subject', '5%20%E2%82%AC%20%22x%22%20100%25']);
  expect(readHeaders(pairs)).toEqual(message);
});

it('finds id and key of events of other senders', () => {
  expect(
    readHeaders([
      ['Ce-Id', 'x'],
      ['ce-partitionkey', 'k'],
      ['Nats-Msg-Id', 'm'],
    ]),
  ).toMatchObject({ id: 'x', key: 'k' });
  expect(readHeaders([['Nats-Msg-Id', 'm']])).toEqual({ id: 'm', key: null, headers: {} });
  expect(readHeaders([])).toEqual({ id: null, key: null, headers: {} });
});

it('takes events of two sources for two, whatever their ids', () => {
  const of = (source: string): string => messageIdOf({ id: '1', headers: { ce_source: source } });
  expect(of('/a')).not.toBe(of('/b'));
  expect(messageIdOf({ id: '1', headers: {} })).toBe('1');
});
