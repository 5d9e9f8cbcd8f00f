import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '../core/errors.js';
import { endpointSecret, isSecret, newKeyPair, newSecret } from './secrets.js';
import { sign } from './sign.js';
import { verify } from './verify.js';

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const nowMs = 1_614_265_330_000;
const body = '{"test": 2432232314}';
const signed = sign.standard({ id: 'msg_1', atMs: nowMs, body }, secret);

/** The fault that a check tells, or what it gives back. */
function told(check: () => unknown): unknown {
  try {
    return check();
  } catch (error) {
    if (!hasCode(error, 'SIGNATURE_INVALID')) throw error;
    return (error.detail as { fault: string }).fault;
  }
}

describe('Standard Webhooks', () => {
  const check = (headers: Record<string, string>, options: object = {}, content: string | Uint8Array = body): unknown =>
    told(() => verify.standard({ headers, body: content }, { secret, nowMs, ...options }));

  it.each<[string, Record<string, string>, string]>([
    ['no headers', {}, 'missing'],
    ['an empty id', { ...signed, 'webhook-id': '' }, 'missing'],
    ['an empty signature', { ...signed, 'webhook-signature': '' }, 'malformed'],
    [
      'a signature without its padding',
      { ...signed, 'webhook-signature': signed['webhook-signature']?.slice(0, -1) ?? '' },
      'malformed',
    ],
    ['a timestamp with a fraction', { ...signed, 'webhook-timestamp': '1614265330.5' }, 'malformed'],
    ['a timestamp with a sign', { ...signed, 'webhook-timestamp': '+1614265330' }, 'malformed'],
    ['a signature that is none', { ...signed, 'webhook-signature': 'v1' }, 'malformed'],
    ['an unknown version alone', { ...signed, 'webhook-signature': 'v2,AAAA' }, 'malformed'],
    ['another id', { ...signed, 'webhook-id': 'msg_2' }, 'wrong'],
    ['another time', { ...signed, 'webhook-timestamp': '1614265331' }, 'wrong'],
    ['part of a signature', { ...signed, 'webhook-signature': 'v1,g0hM9SsE' }, 'wrong'],
    [
      'a signature of another version',
      { ...signed, 'webhook-signature': `v1a,${signed['webhook-signature']?.slice(3)}` },
      'wrong',
    ],
  ])('refuse %s', (_, headers, fault) => expect(check(headers)).toBe(fault));

  it('refuse another body, to the last byte', () => {
    for (const other of [`${body} `, body.slice(1), '', JSON.stringify(JSON.parse(body))])
      expect(check(signed, {}, other)).toBe('wrong');
  });

  it('believe a request for five minutes, in both directions', () => {
    expect(check(signed, { nowMs: nowMs + 300_000 })).toMatchObject({ id: 'msg_1' });
    expect(check(signed, { nowMs: nowMs - 300_000 })).toMatchObject({ id: 'msg_1' });
    expect(check(signed, { nowMs: nowMs + 300_001 })).toBe('too old');
    expect(check(signed, { nowMs: nowMs - 300_001 })).toBe('too new');
    expect(check(signed, { nowMs: nowMs + 5_000, window: '2s' })).toBe('too old');
  });

  it('do not let the end of an id become the time, and the time a part of the body', () => {
    const shifted = { ...signed, 'webhook-id': 'msg_1.1614265330', 'webhook-timestamp': '1614265331' };
    const inner = sign.standard({ id: 'msg_1', atMs: nowMs, body: '1614265331.{}' }, secret);
    // The same bytes are signed; only the borders between them have moved.
    expect(check({ ...shifted, 'webhook-signature': inner['webhook-signature'] ?? '' }, {}, '{}')).toBe('malformed');
    expect(() => sign.standard({ id: 'a.1614265330', atMs: nowMs, body }, secret)).toThrow(
      'The options of a webhook are not valid',
    );
    const dotted = sign.standard({ id: 'order.paid.x1', atMs: nowMs, body }, secret);
    expect(check(dotted)).toMatchObject({ id: 'order.paid.x1' });
  });

  it('take several secrets and several signatures, of which one has to fit', () => {
    const other = newSecret();
    const both = sign.standard({ id: 'msg_1', atMs: nowMs, body }, [other, secret]);
    expect(check(both)).toMatchObject({ id: 'msg_1' });
    expect(check(both, { secret: other })).toMatchObject({ id: 'msg_1' });
    expect(check(signed, { secret: [other, secret] })).toMatchObject({ id: 'msg_1' });
    expect(check(signed, { secret: other })).toBe('wrong');
    const mixed = `v2,AAAA v1a,AAAA v1,AAAA ${signed['webhook-signature']}`;
    expect(check({ ...signed, 'webhook-signature': mixed })).toMatchObject({ id: 'msg_1' });
    const many = `${'v1,AAAA '.repeat(10)}${signed['webhook-signature']}`;
    expect(check({ ...signed, 'webhook-signature': many })).toBe('wrong');
  });

  it('sign with a key of which the receiver knows the public half only', () => {
    const pair = newKeyPair();
    const made = sign.standard({ id: 'msg_1', atMs: nowMs, body }, [pair.secret, secret]);
    expect(made['webhook-signature']).toMatch(/^v1a,\S+ v1,\S+$/);
    expect(check(made, { secret: pair.publicKey })).toMatchObject({ id: 'msg_1' });
    expect(check(made, { secret: pair.publicKey }, `${body} `)).toBe('wrong');
    expect(check(made, { secret: newKeyPair().publicKey })).toBe('wrong');
    expect(() => sign.standard({ id: 'msg_1', body }, pair.publicKey)).toThrow(
      'The options of a webhook are not valid',
    );
    // Whoever knows the public key cannot pass it off as a shared secret.
    const forged = sign.standard({ id: 'msg_1', atMs: nowMs, body }, pair.publicKey.slice('whpk_'.length));
    expect(check(forged, { secret: pair.publicKey })).toBe('wrong');
  });

  it('read headers of every shape', () => {
    const upper = Object.fromEntries(Object.entries(signed).map(([name, value]) => [name.toUpperCase(), value]));
    const lists = Object.fromEntries(Object.entries(signed).map(([name, value]) => [name, [value]]));
    for (const headers of [new Headers(signed), upper, lists])
      expect(verify.standard({ headers, body: Buffer.from(body) }, { secret, nowMs }).id).toBe('msg_1');
  });

  it('are those of node:crypto, whatever is signed', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 24, maxLength: 64 }),
        fc.uint8Array(),
        fc.stringMatching(/^[\w-]{1,40}$/),
        (key, content, id) => {
          const made = sign.standard({ id, atMs: nowMs, body: content }, Buffer.from(key).toString('base64'));
          const hmac = createHmac('sha256', key).update(`${id}.1614265330.`).update(content).digest('base64');
          expect(made['webhook-signature']).toBe(`v1,${hmac}`);
        },
      ),
    );
  });
});

describe('GitHub', () => {
  const headers = sign.github({ id: 'd1', body }, 'text of a secret');
  const check = (given: object, content = body): unknown =>
    told(() =>
      verify.github({ headers: { ...headers, ...given }, body: content }, { secret: ['old', 'text of a secret'] }),
    );

  it('signs the body', () => {
    expect(check({})).toEqual({ id: 'd1', atMs: null });
    expect(check({ 'x-github-delivery': undefined })).toEqual({ id: null, atMs: null });
    expect(check({}, `${body} `)).toBe('wrong');
    expect(check({ 'x-hub-signature-256': undefined })).toBe('missing');
    expect(check({ 'x-hub-signature-256': 'sha1=00' })).toBe('malformed');
    expect(check({ 'x-hub-signature-256': 'sha256=xyz' })).toBe('malformed');
    expect(check({ 'x-hub-signature-256': 'sha256=00' })).toBe('wrong');
  });
});

describe('Stripe', () => {
  const headers = sign.stripe({ atMs: nowMs, body }, ['whsec_old', 'whsec_new']);
  const check = (header: string, options: object = {}): unknown =>
    told(() =>
      verify.stripe({ headers: { 'stripe-signature': header }, body }, { secret: 'whsec_new', nowMs, ...options }),
    );

  it('signs time and body, with each secret', () => {
    const header = headers['stripe-signature'] ?? '';
    expect(check(header)).toEqual({ id: null, atMs: nowMs });
    expect(check(header.replaceAll(',', ', '))).toEqual({ id: null, atMs: nowMs });
    expect(check(header, { secret: 'whsec_other' })).toBe('wrong');
    expect(check(header, { nowMs: nowMs + 300_001 })).toBe('too old');
    expect(check(header.replace('t=1614265330', 't=1614265331'))).toBe('wrong');
    expect(check(`t=1614265331,${header}`)).toBe('malformed');
    expect(check(header.replace(/v1=/g, 'v0='))).toBe('malformed');
    expect(check(header.replace('t=1614265330,', ''))).toBe('malformed');
  });
});

describe('Slack', () => {
  const headers = sign.slack({ atMs: nowMs, body: 'a=b' }, 'slack');
  const check = (given: object, options: object = {}): unknown =>
    told(() =>
      verify.slack({ headers: { ...headers, ...given }, body: 'a=b' }, { secret: 'slack', nowMs, ...options }),
    );

  it('signs version, time and body', () => {
    expect(check({})).toEqual({ id: null, atMs: nowMs });
    expect(check({ 'x-slack-request-timestamp': '1614265331' })).toBe('wrong');
    expect(check({ 'x-slack-request-timestamp': undefined })).toBe('missing');
    expect(check({}, { nowMs: nowMs + 300_001 })).toBe('too old');
  });
});

describe('an HMAC of any shape', () => {
  it('is what node:crypto says', () => {
    const shop = { header: 'x-shop-hmac-sha256', encoding: 'base64' } as const;
    const headers = { 'x-shop-hmac-sha256': createHmac('sha256', 'k').update(body).digest('base64') };
    expect(sign.hmac({ body }, 'k', shop)).toEqual(headers);
    expect(verify.hmac({ headers, body }, { secret: 'k', ...shop })).toEqual({ id: null, atMs: null });
    expect(told(() => verify.hmac({ headers, body: 'x' }, { secret: 'k', ...shop }))).toBe('wrong');
  });

  it('covers id and time where they are said to be in it', () => {
    const scheme = {
      header: 'x-signature',
      prefix: 'h=',
      hash: 'sha512',
      secretEncoding: 'hex',
      content: '{id}|{timestamp}|{body}',
      idHeader: 'x-id',
      timestampHeader: 'x-time',
    } as const;
    const headers = sign.hmac({ id: '7', atMs: nowMs, body }, '00ff', scheme);
    const check = (given: object): unknown =>
      told(() => verify.hmac({ headers: { ...headers, ...given }, body }, { secret: '00ff', nowMs, ...scheme }));
    expect(check({})).toEqual({ id: '7', atMs: nowMs });
    expect(check({ 'x-id': '8' })).toBe('wrong');
    expect(check({ 'x-id': undefined })).toBe('missing');
    expect(check({ 'x-time': '1614265331' })).toBe('wrong');
  });
});

describe('HTTP message signatures', () => {
  const pair = newKeyPair();
  const scheme = { algorithm: 'ed25519' } as const;
  const url = 'https://hooks.example/in?x=1';
  const made = sign.httpSignature({ url, body, atMs: nowMs }, pair.secret, scheme);
  const check = (headers: object, more: object = {}, options: object = {}): unknown =>
    told(() =>
      verify.httpSignature(
        { url, body, headers: { ...made, ...headers }, ...more },
        { secret: pair.publicKey, nowMs, ...scheme, ...options },
      ),
    );

  it('cover method, path and the digest of the body', () => {
    expect(check({})).toEqual({ id: null, atMs: nowMs });
    expect(check({}, { method: 'DELETE' })).toBe('wrong');
    expect(check({}, { body: `${body} ` })).toBe('wrong');
    expect(check({}, {}, { nowMs: nowMs + 301_000 })).toBe('too old');
    expect(check({}, {}, { nowMs: nowMs - 301_000 })).toBe('too new');
  });

  it('are refused where they do not cover what they must', () => {
    const less = sign.httpSignature({ url, body, atMs: nowMs }, pair.secret, { ...scheme, components: ['@method'] });
    expect(check(less)).toBe('uncovered');
    expect(check(less, {}, { components: ['@method'] })).toEqual({ id: null, atMs: nowMs });
  });

  it.each<[string, string, string]>([
    [
      'another algorithm than ours',
      `sig=("@method" "@path" "content-digest");created=1614265330;alg="none"`,
      'malformed',
    ],
    ['no time', `sig=("@method" "@path" "content-digest")`, 'missing'],
    ['a component twice', `sig=("@method" "@method" "@path" "content-digest");created=1614265330`, 'malformed'],
    ['a part of a field', `sig=("@method" "@path" "content-digest";key="a");created=1614265330`, 'malformed'],
    ['the field of an answer', `sig=("@method" "@path" "@status" "content-digest");created=1614265330`, 'malformed'],
    ['a field that is not there', `sig=("@method" "@path" "x-none" "content-digest");created=1614265330`, 'malformed'],
    [
      'an end that is over',
      `sig=("@method" "@path" "content-digest");created=1614265330;expires=1614265329`,
      'too old',
    ],
    ['an open list', `sig=("@method" "@path"`, 'malformed'],
    ['one label twice', `sig=("@method");created=1,sig=("@method");created=1`, 'malformed'],
    ['no list', `sig=:AAAA:`, 'malformed'],
    ['five signatures', [1, 2, 3, 4, 5].map((n) => `s${n}=("@method");created=1`).join(', '), 'malformed'],
    ['a field of 10 KiB', `sig=("${'a'.repeat(10_000)}")`, 'malformed'],
  ])('are refused with %s', (_, input, fault) => expect(check({ 'signature-input': input })).toBe(fault));

  it('count once among those of hops in between', () => {
    const input = `hop=("@method");created=1614265330, ${made['signature-input']}`;
    expect(check({ 'signature-input': input, signature: `hop=:AAAA:, ${made['signature']}` })).toMatchObject({
      atMs: nowMs,
    });
  });

  it('do not believe the digest of another body because another digest is right', () => {
    const digests = `${made['content-digest']}, sha-512=:AAAA:`;
    expect(check({ 'content-digest': digests })).toBe('wrong');
  });
});

describe('secrets', () => {
  it('are at least 24 bytes in base64, with or without their prefix', () => {
    expect([secret, secret.slice(6), newSecret()].map(isSecret)).toEqual([true, true, true]);
    expect(['', 'whsec_', 'whsec_AAAA', 'whsec_not base64 at all, but long enough', '%%%'].map(isSecret)).toEqual(
      Array.from({ length: 5 }, () => false),
    );
  });

  it('of endpoints differ, and are the same each time', () => {
    const [a, again, b] = ['a', 'a', 'b'].map((app) => endpointSecret(secret, app));
    expect(a).toBe(again);
    expect(a).not.toBe(b);
    expect(isSecret(a ?? '')).toBe(true);
  });

  it('that are nothing are refused before anything is compared, and are not told', () => {
    const request = { headers: {}, body };
    for (const wrong of ['', 'whsec_', 'whsec_%%%', 'whpk_AAAA', []])
      expect(() => verify.standard(request, { secret: wrong })).toThrow('The options of a webhook are not valid');
    for (const check of [verify.github, verify.stripe, verify.slack])
      expect(() => check(request, { secret: '' })).toThrow('The options of a webhook are not valid');
    expect(() => verify.httpSignature(request, { secret: 'AAAA', algorithm: 'ed25519' })).toThrow(
      'The options of a webhook are not valid',
    );
    const many = Array.from({ length: 9 }, newSecret);
    expect(() => verify.standard(request, { secret: many })).toThrow('1 to 8 secrets');
    expect(() => verify.standard(request, { secret: 'whsk_hunter2' })).not.toThrow('hunter2');
  });
});
