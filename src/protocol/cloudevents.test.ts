import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeUnless } from '../../test/skip.js';
import { isSpineError } from '../core/errors.js';
import {
  cloudEventMode,
  decodeHeaderValue,
  decodeHttpBatch,
  decodeHttpEvent,
  encodeHeaderValue,
  encodeHttpBatch,
  encodeHttpBinary,
  encodeHttpStructured,
  type CloudEvent,
} from './cloudevents.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const structured = (value: unknown) => ({
  headers: { 'content-type': 'application/cloudevents+json' },
  body: bytes(JSON.stringify(value)),
});
const minimal = { specversion: '1.0', id: '1', source: '/s', type: 't' };

/** The faults with which a message is refused. */
function faultsIn(fn: () => unknown): string {
  try {
    fn();
  } catch (error) {
    if (isSpineError(error)) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'accepted';
}

describe('header values', () => {
  // The example of section 3.1.3.2 of the HTTP binding.
  it('are percent-encoded as the binding says', () => {
    expect(encodeHeaderValue('Euro € 😀')).toBe('Euro%20%E2%82%AC%20%F0%9F%98%80');
    expect(encodeHeaderValue('a"b%c!~#$&\u007f')).toBe('a%22b%25c!~#$&%7F');
  });

  it('are decoded once, whatever characters were encoded', () => {
    expect(decodeHeaderValue('Euro%20%E2%82%AC%20%F0%9F%98%80')).toBe('Euro € 😀');
    expect(decodeHeaderValue('%41%2541 b')).toBe('A%41 b');
    expect(decodeHeaderValue('"quoted \\"inside\\" %41"')).toBe('quoted "inside" A');
  });

  it.each(['%C3%28', '%ED%A0%80', '%ff', '%C0%80', '%4', '%zz', 'raw é'])(
    'are refused when they are not UTF-8: %s',
    (raw) => {
      expect(decodeHeaderValue(raw)).toBeNull();
    },
  );

  it('come back as they were, for every text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const encoded = encodeHeaderValue(text);
        expect(encoded).toMatch(/^[\u0021\u0023-\u007e]*$/);
        // A text between quotes is encoded, so that it is not taken for a quoted one.
        expect(decodeHeaderValue(encoded)).toBe(text);
      }),
    );
  });
});

describe('modes', () => {
  it.each([
    [{ 'content-type': 'application/cloudevents+json; charset=utf-8' }, 'structured'],
    [{ 'content-type': 'Application/CloudEvents-Batch+JSON' }, 'batch'],
    [{ 'content-type': 'application/json', 'ce-specversion': '1.0' }, 'binary'],
    [{ 'content-type': 'application/json', 'ce-id': '1' }, 'binary'],
    [{ 'content-type': 'application/json' }, null],
    [{}, null],
  ])('%j is %s', (headers, mode) => {
    expect(cloudEventMode(headers as Record<string, string>)).toBe(mode);
  });

  it('refuses event formats other than JSON', () => {
    for (const type of [
      'application/cloudevents+avro',
      'application/cloudevents',
      'application/cloudevents+json; charset=utf-16',
    ]) {
      expect(faultsIn(() => decodeHttpEvent({ headers: { 'content-type': type }, body: bytes('{}') }))).toContain(
        'CONTENT_TYPE_UNSUPPORTED',
      );
    }
  });
});

describe('structured events', () => {
  it('keep attributes and extensions apart', () => {
    const event = decodeHttpEvent(
      structured({
        ...minimal,
        subject: 's',
        time: '2018-04-05T03:56:24.5+02:00',
        n: 5,
        yes: true,
        gone: null,
        data: { a: [1] },
      }),
    );
    expect(event).toEqual({
      id: '1',
      source: '/s',
      type: 't',
      subject: 's',
      time: '2018-04-05T03:56:24.5+02:00',
      extensions: { n: 5, yes: true },
      data: { kind: 'json', value: { a: [1] } },
    });
  });

  it('tell JSON, text and bytes apart', () => {
    const data = (extra: object) => decodeHttpEvent(structured({ ...minimal, ...extra })).data;
    expect(data({})).toBeNull();
    expect(data({ data: null })).toBeNull();
    expect(data({ data: 'x' })).toEqual({ kind: 'json', value: 'x' });
    expect(data({ data: '<x/>', datacontenttype: 'text/xml' })).toEqual({ kind: 'text', text: '<x/>' });
    expect(data({ data_base64: 'AP8=' })).toEqual({ kind: 'bytes', bytes: new Uint8Array([0, 255]) });
    expect(data({ data_base64: 'eyJhIjoxfQ==', datacontenttype: 'application/x+json' })).toEqual({
      kind: 'json',
      value: { a: 1 },
    });
  });

  it.each([
    [{ specversion: '0.3' }, 'specversion'],
    [{ id: undefined }, 'id is missing'],
    [{ id: '' }, 'id is not a non-empty string'],
    [{ id: 5 }, 'id is not'],
    [{ id: 'x'.repeat(257) }, 'id is longer'],
    [{ source: 'a b' }, 'source is not a URI'],
    [{ source: '%zz' }, 'source is not a URI'],
    [{ time: '2018-04-05 03:56' }, 'time is not'],
    [{ time: '2018-13-05T03:56:24Z' }, 'time is not'],
    [{ dataschema: '/relative' }, 'dataschema is not an absolute'],
    [{ datacontenttype: 'json' }, 'datacontenttype is not'],
    [{ type: 'a\u0007' }, 'characters'],
    [{ type: '\ud800' }, 'characters'],
    [{ type: '\uffff' }, 'characters'],
    [{ Bad_Name: 1 }, 'attribute name'],
    [{ ext: 1.5 }, '32-bit'],
    [{ ext: 2 ** 31 }, '32-bit'],
    [{ ext: { a: 1 } }, '32-bit'],
    [{ ext: { toString: true } }, '32-bit'],
    [{ id: { toString: true } }, 'id is not a non-empty string'],
    [{ data: 1, data_base64: 'AA==' }, 'exclude each other'],
    [{ data_base64: 'A' }, 'not base64'],
    [{ data_base64: 'AB==' }, 'not base64'],
    [{ data_base64: 'AA==', datacontenttype: 'application/json' }, 'not the JSON'],
  ])('are refused with %j', (extra, fault) => {
    const message = faultsIn(() => decodeHttpEvent(structured({ ...minimal, ...extra })));
    expect(message).toContain('CLOUDEVENT_INVALID');
    expect(message).toContain(fault);
  });

  it('name all faults at once', () => {
    const message = faultsIn(() => decodeHttpEvent(structured({})));
    for (const name of ['specversion', 'id', 'source', 'type']) expect(message).toContain(name);
  });
});

describe('binary events', () => {
  const headers = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/s', 'ce-type': 't' };

  it('take the content type for that of the data', () => {
    const decode = (type: string | undefined, body: Uint8Array) =>
      decodeHttpEvent({ headers: type === undefined ? headers : { ...headers, 'content-type': type }, body });
    expect(decode('application/json; charset=utf-8', bytes('[1]'))).toMatchObject({
      datacontenttype: 'application/json; charset=utf-8',
      data: { kind: 'json', value: [1] },
    });
    expect(decode('text/plain', bytes('é')).data).toEqual({ kind: 'text', text: 'é' });
    expect(decode('text/plain; charset=latin1', bytes('x')).data).toEqual({ kind: 'bytes', bytes: bytes('x') });
    expect(decode(undefined, bytes('x')).data).toEqual({ kind: 'bytes', bytes: bytes('x') });
    expect(decode('application/json', bytes('')).data).toBeNull();
  });

  it('are refused where headers or data are not what they say', () => {
    const refused = (extra: Record<string, string>, body = bytes('')) =>
      faultsIn(() => decodeHttpEvent({ headers: { ...headers, ...extra }, body }));
    expect(refused({ 'ce-subject': '%ff' })).toContain('percent-encoded');
    expect(refused({ 'ce-datacontenttype': 'text/plain' })).toContain('content-type header');
    expect(refused({ 'ce-data': 'x' })).toContain('data is not an attribute');
    expect(refused({ 'ce-bad_name': 'x' })).toContain('attribute name');
    expect(refused({ 'content-type': 'application/json' }, bytes('{'))).toContain('BODY_NOT_JSON');
    expect(refused({ 'content-type': 'text/plain' }, new Uint8Array([255]))).toContain('UTF-8');
  });
});

describe('encoding', () => {
  const text = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
    .filter((s) => !/[\u0000-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]/.test(s));
  const event: fc.Arbitrary<CloudEvent> = fc.record({
    id: text,
    source: fc.webPath().filter((path) => path !== ''),
    type: text,
    extensions: fc.dictionary(fc.stringMatching(/^ext[a-z0-9]{1,8}$/), text, { maxKeys: 3 }),
    data: fc.oneof(
      fc.constant(null),
      fc
        .jsonValue()
        .filter((value) => value !== null)
        // What JSON makes of it: JSON has no -0.
        .map((value) => ({ kind: 'json', value: JSON.parse(JSON.stringify(value)) as unknown }) as const),
      fc.uint8Array({ minLength: 1 }).map((data) => ({ kind: 'bytes', bytes: data }) as const),
    ),
  });

  it('gives back every event, in every mode', () => {
    fc.assert(
      fc.property(event, (original) => {
        expect(decodeHttpEvent(encodeHttpStructured(original))).toEqual(original);
        expect(decodeHttpBatch(encodeHttpBatch([original, original]))).toEqual([
          { ok: true, event: original },
          { ok: true, event: original },
        ]);
        // In binary mode the kind of the data is in the content type, so the event has one afterwards.
        const { datacontenttype, ...binary } = decodeHttpEvent(encodeHttpBinary(original));
        expect(binary).toEqual(original);
        expect(datacontenttype === undefined).toBe(original.data === null);
      }),
    );
  });

  it('refuses to write what could not be read', () => {
    const bad: CloudEvent = { id: '', source: '/s', type: 't', extensions: { UP: 1 }, data: null };
    for (const encode of [encodeHttpStructured, encodeHttpBinary, (e: CloudEvent) => encodeHttpBatch([e])]) {
      expect(faultsIn(() => encode(bad))).toContain('CLOUDEVENT_INVALID');
    }
  });
});

describe('batches', () => {
  const batch = (value: unknown) =>
    decodeHttpBatch({
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: bytes(JSON.stringify(value)),
    });

  it('judge each event by itself', () => {
    expect(batch([minimal, 1, { ...minimal, id: '' }]).map(({ ok }) => ok)).toEqual([true, false, false]);
    expect(batch([])).toEqual([]);
  });

  it('are refused when they are no list', () => {
    expect(faultsIn(() => batch(minimal))).toContain('REQUEST_INVALID');
  });
});

// The conformance features of the CloudEvents project are data that the repository does not carry.
const feature = fileURLToPath(
  new URL('../../../shared/data/cloudevents/http-protocol-binding.feature', import.meta.url),
);

describeUnless(
  existsSync(feature) ? null : 'the CloudEvents feature file http-protocol-binding.feature is not in shared/data',
  'CloudEvents conformance: HTTP protocol binding',
  () => {
    const scenarios = existsSync(feature) ? scenariosOf(readFileSync(feature, 'utf8')) : [];

    it('has the scenarios that we know of', () => {
      expect(scenarios.length).toBe(4);
    });

    it.each(scenarios)('$name', ({ request, attributes, data }) => {
      const event = decodeHttpEvent(request);
      const { extensions, data: found, ...known } = event;
      expect({ specversion: '1.0', ...known, ...extensions }).toEqual(attributes);
      expect(found).toEqual({ kind: 'json', value: data });
    });
  },
);

interface Scenario {
  readonly name: string;
  readonly request: { readonly headers: Record<string, string>; readonly body: Uint8Array };
  readonly attributes: Record<string, string>;
  readonly data: unknown;
}

/** As much of Gherkin as the file uses: outlines with one column of examples, doc strings and tables. */
function scenariosOf(text: string): Scenario[] {
  return text
    .split('Scenario Outline: ')
    .slice(1)
    .flatMap((outline) => {
      const [body = '', examples = ''] = outline.split('Examples:');
      const values = rowsOf(examples)
        .slice(1)
        .map(([value = '']) => value);
      return values.map((value) => scenarioOf(body.replaceAll('<contentType>', value)));
    });
}

function scenarioOf(text: string): Scenario {
  const [, request = '', , data = ''] = text.split('"""');
  const table = text.slice(text.indexOf('Then the attributes are:'), text.indexOf('And the data'));
  const [head = '', ...body] = request.split(/\n\s*\n/);
  const headers = head
    .split('\n')
    .map((line) => /^\s*([\w-]+): (.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, name = '', value = '']) => [name.toLowerCase(), value.trim()] as const);
  return {
    name: text.slice(0, text.indexOf('\n')).trim(),
    request: { headers: Object.fromEntries(headers), body: bytes(body.join('\n\n')) },
    attributes: Object.fromEntries(
      rowsOf(table)
        .slice(1)
        .map(([key = '', value = '']) => [key, value]),
    ),
    data: JSON.parse(data),
  };
}

function rowsOf(text: string): string[][] {
  return [...text.matchAll(/^\s*\|(.*)\|\s*$/gm)].map(([, row = '']) => row.split('|').map((cell) => cell.trim()));
}
