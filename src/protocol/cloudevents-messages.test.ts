import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { describeUnless } from '../../test/skip.js';
import { decodeEventMessage, encodeEventMessage, eventMessageMode, type EventMessage } from './cloudevents-messages.js';
import type { CloudEvent } from './cloudevents.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const event: CloudEvent = {
  id: 'e 1/ä',
  source: '/shop/orders',
  type: 'order.placed',
  subject: 'Bestellung für 5 €',
  time: '2026-01-01T00:00:00Z',
  datacontenttype: 'application/json',
  extensions: { partitionkey: 'order-7', sequence: '0001', urgent: true, count: 3 },
  data: { kind: 'json', value: { amount: 5, note: '€' } },
};
/** What was no text has become one on the way: headers know nothing else. */
const asText: CloudEvent = { ...event, extensions: { ...event.extensions, urgent: 'true', count: '3' } };

describe('events in messages', () => {
  it('has attributes in headers as they are, the partition key as the key, and the data as the body', () => {
    const message = encodeEventMessage(event, 'binary');
    expect(message.key).toBe('order-7');
    expect(message.headers).toEqual({
      ce_specversion: '1.0',
      ce_id: 'e 1/ä',
      ce_source: '/shop/orders',
      ce_type: 'order.placed',
      ce_subject: 'Bestellung für 5 €',
      ce_time: '2026-01-01T00:00:00Z',
      'content-type': 'application/json',
      ce_partitionkey: 'order-7',
      ce_sequence: '0001',
      ce_urgent: 'true',
      ce_count: '3',
    });
    expect(new TextDecoder().decode(message.body)).toBe('{"amount":5,"note":"€"}');
    expect(decodeEventMessage(message)).toEqual(asText);
  });

  it('has the whole event as the body in structured mode', () => {
    const message = encodeEventMessage(event, 'structured');
    expect(message.key).toBe('order-7');
    expect(Object.keys(message.headers)).toEqual(['content-type']);
    expect(eventMessageMode(message.headers)).toBe('structured');
    expect(decodeEventMessage(message)).toEqual(event);
  });

  it('takes the key of a message for the partition key of an event that names none', () => {
    const plain = encodeEventMessage({ ...event, extensions: {} }, 'binary');
    expect(plain.key).toBeNull();
    expect(decodeEventMessage({ ...plain, key: 'k' }).extensions).toEqual({ partitionkey: 'k' });
    expect(decodeEventMessage({ ...plain, key: '' }).extensions).toEqual({});
    expect(decodeEventMessage({ ...encodeEventMessage(event, 'binary'), key: 'k' })).toEqual(asText);
  });

  it('keeps bytes as they are, and no data as none', () => {
    const raw = Uint8Array.from([0, 255, 10]);
    const binary = { ...event, datacontenttype: 'image/png', data: { kind: 'bytes', bytes: raw } } as const;
    expect(decodeEventMessage(encodeEventMessage(binary, 'binary')).data).toEqual(binary.data);
    expect(decodeEventMessage(encodeEventMessage(binary, 'structured')).data).toEqual(binary.data);
    expect(decodeEventMessage(encodeEventMessage({ ...event, data: null }, 'binary')).data).toBeNull();
  });

  it('refuses what is no event, with every fault', () => {
    const message: EventMessage = { key: null, headers: { ce_id: '1', ce_datacontenttype: 'a/b' }, body: bytes('') };
    expect(() => decodeEventMessage(message)).toThrow(
      /content-type header.*specversion is not.*source is missing.*type is missing/,
    );
    const broken = { ...encodeEventMessage(event, 'binary'), body: bytes('{') };
    expect(() => decodeEventMessage(broken)).toThrow(/JSON/);
    expect(eventMessageMode({ 'content-type': 'application/json' })).toBeNull();
  });
});

// The conformance features of the CloudEvents project are data that the repository does not carry.
const feature = fileURLToPath(
  new URL('../../../shared/data/cloudevents/kafka-protocol-binding.feature', import.meta.url),
);

describeUnless(
  existsSync(feature) ? null : 'the CloudEvents feature file kafka-protocol-binding.feature is not in shared/data',
  'CloudEvents conformance: Kafka protocol binding',
  () => {
    const scenarios = existsSync(feature) ? scenariosOf(readFileSync(feature, 'utf8')) : [];

    it('has the scenarios that we know of', () => {
      expect(scenarios.map(({ name }) => name)).toEqual([
        'Binary content mode',
        'Structured content mode (application/cloudevents+json)',
        'Structured content mode (application/cloudevents+json; charset=utf-8)',
      ]);
    });

    it.each(scenarios)('$name', ({ message, attributes, data }) => {
      const { extensions, data: found, ...known } = decodeEventMessage(message);
      expect({ specversion: '1.0', ...known, ...extensions }).toEqual(attributes);
      expect(found).toEqual({ kind: 'json', value: data });
    });
  },
);

interface Scenario {
  readonly name: string;
  readonly message: EventMessage;
  readonly attributes: Record<string, string>;
  readonly data: unknown;
}

/** As much of Gherkin as the file uses: scenarios, outlines with one column of examples, doc strings and tables. */
function scenariosOf(text: string): Scenario[] {
  return text
    .split(/Scenario(?: Outline)?: /)
    .slice(1)
    .flatMap((scenario) => {
      const [body = '', examples] = scenario.split('Examples:');
      if (examples === undefined) return [scenarioOf(body)];
      const [[column = ''] = [], ...values] = rowsOf(examples);
      return values.map(([value = '']) => scenarioOf(body.replaceAll(`<${column}>`, value)));
    });
}

function scenarioOf(text: string): Scenario {
  const [, payload = '', steps = '', data = ''] = text.split('"""');
  const [headers = '', attributes = ''] = steps.split('When parsed as Kafka message');
  const pairsOf = (table: string): Record<string, string> =>
    Object.fromEntries(
      rowsOf(table)
        .slice(1)
        .map(([key = '', value = '']) => [key, value]),
    );
  return {
    name: text.slice(0, text.indexOf('\n')).trim(),
    message: { key: null, headers: pairsOf(headers), body: bytes(payload.trim()) },
    attributes: pairsOf(attributes),
    data: JSON.parse(data),
  };
}

function rowsOf(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line.trim().startsWith('|'))
    .map((line) =>
      line
        .trim()
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );
}
