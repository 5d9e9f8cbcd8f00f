import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filled, mapFaults, readTemplate, valueOf } from './mapping.js';
import { schemeFaults } from './scheme.js';
import { sourceFaults } from './source.js';

const parts = (body: unknown, headers: Readonly<Record<string, string>> = {}) => ({
  header: (name: string) => headers[name] ?? null,
  body,
});
const fill = (text: string, body: unknown, headers?: Readonly<Record<string, string>>): string | undefined => {
  const template = readTemplate(text);
  if (template === null) throw new Error(`${text} is no template`);
  return filled(template, parts(body, headers));
};

describe('templates', () => {
  it('put headers and members of the body into text', () => {
    expect(fill('github.{headers.x-github-event}', null, { 'x-github-event': 'push' })).toBe('github.push');
    expect(fill('{body.order.id}/{body.n}/{body.ok}', { order: { id: 'a' }, n: 1, ok: false })).toBe('a/1/false');
    expect(fill('{body.items.1.id}', { items: [{}, { id: 'b' }] })).toBe('b');
    expect(fill('{body}', 'text')).toBe('text');
  });

  it('are nothing where a place has nothing, or no text', () => {
    for (const body of [null, {}, { a: null }, { a: {} }, { a: [] }]) expect(fill('x{body.a}', body)).toBeUndefined();
    expect(fill('{body.__proto__}', {})).toBeUndefined();
    expect(fill('{body.constructor.name}', {})).toBeUndefined();
    expect(fill('{body.length}', 'text')).toBeUndefined();
    expect(fill('{headers.none}', {})).toBeUndefined();
  });

  it('are refused where they cannot be read', () => {
    const wrong = [
      '',
      '{',
      '}',
      '{}',
      'a}b',
      '{body',
      '{other.a}',
      '{body..a}',
      '{headers.}',
      '{headers.A}',
      '{{body}}',
    ];
    expect(wrong.filter((text) => readTemplate(text) !== null)).toEqual([]);
    expect(readTemplate(`{body${'.a'.repeat(9)}}`)).toBeNull();
    expect(readTemplate('x'.repeat(501))).toBeNull();
  });

  it('throw for no text and no body', () => {
    fc.assert(
      fc.property(fc.string(), fc.jsonValue(), (text, body) => {
        const template = readTemplate(text);
        if (template !== null) {
          filled(template, parts(body));
          valueOf(template, parts(body));
        }
      }),
    );
  });

  it('of a map are told by name', () => {
    expect(mapFaults({ id: '{body.id}', data: '{body}' })).toEqual([]);
    expect(mapFaults({ data: 'x{body}' })).toEqual(['map.data is not one place such as {body.data}']);
    expect(mapFaults({ ids: 'x' })).toEqual(['map.ids is not a field; there are id, type, key, subject, data']);
    expect(mapFaults({ id: '{' })).toEqual(['map.id "{" is not text with places such as {body.id}']);
  });
});

describe('schemes', () => {
  it.each([
    { kind: 'standard' },
    { kind: 'svix', window: '10m' },
    { kind: 'github' },
    { kind: 'hmac', header: 'x-signature' },
    { kind: 'hmac', header: 'x-s', content: '{id}.{timestamp}.{body}', idHeader: 'x-i', timestampHeader: 'x-t' },
    { kind: 'http-signature', algorithm: 'ed25519', components: ['@method', 'content-digest'] },
  ])('%j can be used', (scheme) => expect(schemeFaults(scheme)).toEqual([]));

  it.each<[unknown, string]>([
    [null, 'is not an object'],
    [{ kind: 'md5' }, 'scheme.kind is "md5"'],
    [{ kind: '__proto__' }, 'scheme.kind'],
    [{ kind: 'github', window: '5m' }, 'scheme.window is not a field'],
    [{ kind: 'standard', window: '2d' }, 'is not between'],
    [{ kind: 'standard', window: 'soon' }, 'is not a duration'],
    [{ kind: 'hmac' }, 'scheme.header is needed'],
    [{ kind: 'hmac', header: 'X-Upper' }, 'name of a header'],
    [{ kind: 'hmac', header: 'x', hash: 'md5' }, 'is none of'],
    [{ kind: 'hmac', header: 'x', content: '{timestamp}.{body}' }, 'need each other'],
    [{ kind: 'hmac', header: 'x', content: 'constant' }, 'has not one {body}'],
    [{ kind: 'hmac', header: 'x', content: '{body}{body}' }, 'has not one {body}'],
    [{ kind: 'hmac', header: 'x', content: '{id}{body}' }, 'idHeader is needed'],
    [{ kind: 'http-signature', algorithm: 'none' }, 'is none of'],
    [{ kind: 'http-signature', algorithm: 'ed25519', components: ['@status'] }, 'which is no component'],
    [{ kind: 'http-signature' }, 'algorithm is needed'],
  ])('%j cannot', (scheme, fault) => expect(schemeFaults(scheme).join()).toContain(fault));
});

describe('sources of manifests', () => {
  it('are believed in no part', () => {
    expect(sourceFaults({ name: 'a', topic: 't', scheme: { kind: 'github' } })).toEqual([]);
    for (const wrong of [
      { name: '../a', topic: 't', scheme: { kind: 'github' } },
      { name: 'a', topic: 7, scheme: { kind: 'github' } },
      { name: 'a', topic: 't', scheme: 'github' },
      { name: 'a', topic: 't', scheme: { kind: 'github' }, secret: 'x' },
      { name: 'a', topic: 't' },
    ])
      expect(sourceFaults(wrong), JSON.stringify(wrong)).not.toEqual([]);
  });
});
