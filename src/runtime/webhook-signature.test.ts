import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { endpointSecret, isSecret, signatureFault, signRequest } from './webhook-signature.js';

const body = (text: string): Uint8Array => new TextEncoder().encode(text);
const request = (headers: Record<string, string>, text: string) => ({
  header: (name: string) => headers[name] ?? null,
  body: body(text),
});

// The vector of the reference implementation of Standard Webhooks.
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const atMs = 1_614_265_330_000;
const signed = {
  'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  'webhook-timestamp': '1614265330',
  'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};
const text = '{"test": 2432232314}';

describe('signatures', () => {
  it('are those of the specification', async () => {
    expect(await signRequest([secret], signed['webhook-id'], atMs, body(text))).toEqual(signed);
    expect(await signatureFault([secret], request(signed, text), atMs)).toBeNull();
    expect(await signatureFault([secret.slice('whsec_'.length)], request(signed, text), atMs)).toBeNull();
  });

  it('are those of node:crypto, whatever is signed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 24, maxLength: 64 }),
        fc.uint8Array(),
        fc.string(),
        async (key, content, id) => {
          const mine = await signRequest([Buffer.from(key).toString('base64')], id, atMs, content);
          const hmac = createHmac('sha256', key).update(`${id}.1614265330.`).update(content).digest('base64');
          expect(mine['webhook-signature']).toBe(`v1,${hmac}`);
        },
      ),
    );
  });

  it.each<[string, Record<string, string>, string, number, string]>([
    ['no headers', {}, text, atMs, 'missing'],
    ['an empty id', { ...signed, 'webhook-id': '' }, text, atMs, 'missing'],
    ['a timestamp that is none', { ...signed, 'webhook-timestamp': '1614265330.5' }, text, atMs, 'malformed'],
    ['a signature that is none', { ...signed, 'webhook-signature': 'v1' }, text, atMs, 'malformed'],
    ['another version alone', { ...signed, 'webhook-signature': 'v1a,AAAA' }, text, atMs, 'malformed'],
    ['another body', signed, `${text} `, atMs, 'wrong'],
    ['another id', { ...signed, 'webhook-id': 'msg_2' }, text, atMs, 'wrong'],
    ['part of a signature', { ...signed, 'webhook-signature': 'v1,g0hM9SsE' }, text, atMs, 'wrong'],
    ['a request of six minutes ago', signed, text, atMs + 360_000, 'too old'],
    ['a request of the future', signed, text, atMs - 360_000, 'too new'],
  ])('refuse %s', async (_, headers, sent, nowMs, fault) => {
    expect(await signatureFault([secret], request(headers, sent), nowMs)).toBe(fault);
  });

  it('may be several, of which one is right, while a secret is replaced', async () => {
    const other = `whsec_${Buffer.alloc(24, 1).toString('base64')}`;
    const both = await signRequest([other, secret], 'id', atMs, body(text));
    expect(await signatureFault([secret], request(both, text), atMs)).toBeNull();
    expect(await signatureFault([other], request(both, text), atMs)).toBeNull();
    const mixed = { ...signed, 'webhook-signature': `v1a,AAAA v1,AAAA ${signed['webhook-signature']}` };
    expect(await signatureFault([other, secret], request(mixed, text), atMs)).toBeNull();
  });
});

describe('secrets', () => {
  it('are at least 24 bytes in base64, with or without their prefix', () => {
    expect([secret, secret.slice(6)].map(isSecret)).toEqual([true, true]);
    expect(['', 'whsec_', 'whsec_AAAA', 'whsec_not base64 at all, but long enough', '%%%'].map(isSecret)).toEqual(
      Array.from({ length: 5 }, () => false),
    );
  });

  it('of endpoints differ, and are the same each time', async () => {
    const [a, again, b] = await Promise.all(['a', 'a', 'b'].map((app) => endpointSecret(secret, app)));
    expect(a).toBe(again);
    expect(a).not.toBe(b);
    expect(isSecret(a ?? '')).toBe(true);
  });
});
