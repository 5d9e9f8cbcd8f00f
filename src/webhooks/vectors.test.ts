/** What others have published and signed, which these checks must believe. */
import { existsSync, readFileSync } from 'node:fs';
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { describeUnless } from '../../test/skip.js';
import { sign } from './sign.js';
import { verify } from './verify.js';

interface Vector {
  readonly scheme: 'standard-webhooks' | 'github' | 'slack';
  readonly secret: string;
  readonly id?: string;
  readonly timestamp?: number;
  readonly body: string;
  readonly signature: string;
}

// Copies of the vectors that the specification of each sender publishes.
const own: readonly Vector[] = [
  {
    scheme: 'standard-webhooks',
    secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    timestamp: 1_614_265_330,
    body: '{"test": 2432232314}',
    signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  },
  {
    scheme: 'github',
    secret: "It's a Secret to Everybody",
    body: 'Hello, World!',
    signature: 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
  },
  {
    scheme: 'slack',
    secret: '8f742231b10e8888abcd99yyyzzz85a5',
    timestamp: 1_531_420_618,
    body:
      'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar' +
      '&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com' +
      '%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
    signature: 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
  },
];

const published = process.env['EVENTSPINE_WEBHOOK_VECTORS'] ?? '../shared/data/tlog/webhook-vectors.json';
const missing = existsSync(published) ? null : `${published} is not there (EVENTSPINE_WEBHOOK_VECTORS names another)`;

describe('published vectors', () => {
  it.each(own.map((vector) => [vector.scheme, vector] as const))('%s', (_, vector) => believes(vector));

  it('of Stripe are made of the secret as it is written, with its prefix', () => {
    const secret = 'whsec_test_secret';
    const body = '{"id":"evt_1"}';
    const signature = createHmac('sha256', secret).update(`1700000000.${body}`).digest('hex');
    const headers = { 'stripe-signature': `t=1700000000,v1=${signature},v0=${'0'.repeat(64)}` };
    expect(verify.stripe({ headers, body }, { secret, nowMs: 1_700_000_000_000 }).atMs).toBe(1_700_000_000_000);
  });
});

describeUnless(missing, 'published vectors, as they were handed over', () => {
  it('are believed', () => {
    const vectors = JSON.parse(readFileSync(published, 'utf8')) as readonly Vector[];
    expect(vectors.length).toBeGreaterThan(0);
    for (const vector of vectors) believes(vector);
  });
});

function believes(vector: Vector): void {
  const { scheme, secret, id = 'msg_1', timestamp = 0, body, signature } = vector;
  const nowMs = timestamp * 1000 + 1;
  const message = { id, atMs: timestamp * 1000, body };
  switch (scheme) {
    case 'standard-webhooks': {
      const headers = { 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': signature };
      expect(sign.standard(message, secret)).toEqual(headers);
      expect(verify.standard({ headers, body }, { secret, nowMs })).toEqual({ id, atMs: message.atMs });
      const svix = { 'svix-id': id, 'svix-timestamp': String(timestamp), 'svix-signature': signature };
      expect(sign.svix(message, secret)).toEqual(svix);
      expect(verify.svix({ headers: svix, body }, { secret, nowMs })).toEqual({ id, atMs: message.atMs });
      return;
    }
    case 'github': {
      const headers = { 'x-hub-signature-256': signature, 'x-github-delivery': id };
      expect(sign.github(message, secret)).toEqual(headers);
      expect(verify.github({ headers, body }, { secret, nowMs })).toEqual({ id, atMs: null });
      return;
    }
    case 'slack': {
      const headers = { 'x-slack-signature': signature, 'x-slack-request-timestamp': String(timestamp) };
      expect(sign.slack(message, secret)).toEqual(headers);
      expect(verify.slack({ headers, body }, { secret, nowMs })).toEqual({ id: null, atMs: message.atMs });
    }
  }
}

/** RFC 9421, appendix B.2: the request of B.2 with the keys of B.1.4 and B.1.5. */
describe('signatures of the examples of RFC 9421', () => {
  const body = '{"hello": "world"}';
  const sent = {
    date: 'Tue, 20 Apr 2021 02:07:55 GMT',
    'content-type': 'application/json',
    'content-digest':
      'sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:',
    'content-length': '18',
  };
  const request = { method: 'POST', url: 'https://example.com/foo?param=Value&Pet=dog', body };
  const nowMs = 1_618_884_473_000;
  const hmac = {
    algorithm: 'hmac-sha256',
    components: ['date', '@authority', 'content-type'],
    secret: 'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==',
  } as const;
  const b25 = {
    ...sent,
    'signature-input': 'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    signature: 'sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:',
  };
  const ed25519 = {
    algorithm: 'ed25519',
    components: ['date', '@method', '@path', '@authority', 'content-type', 'content-length'],
    secret:
      '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----',
  } as const;
  const b26 = {
    ...sent,
    'signature-input':
      'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
    signature: 'sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:',
  };

  it('B.2.5, HMAC-SHA256', () => {
    expect(verify.httpSignature({ ...request, headers: b25 }, { ...hmac, nowMs }).atMs).toBe(nowMs);
    const made = sign.httpSignature(
      { ...request, headers: sent, atMs: nowMs, keyId: 'test-shared-secret', label: 'sig-b25' },
      hmac.secret,
      hmac,
    );
    expect(made['signature-input']).toBe(b25['signature-input']);
    expect(made['signature']).toBe(b25.signature);
  });

  it('B.2.6, Ed25519', () => {
    expect(verify.httpSignature({ ...request, headers: b26 }, { ...ed25519, nowMs }).atMs).toBe(nowMs);
    const raw = 'JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=';
    expect(verify.httpSignature({ ...request, headers: b26 }, { ...ed25519, secret: raw, nowMs }).atMs).toBe(nowMs);
    const seed = Buffer.from('n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU', 'base64url').toString('base64');
    const made = sign.httpSignature(
      { ...request, headers: sent, atMs: nowMs, keyId: 'test-key-ed25519', label: 'sig-b26' },
      `whsk_${seed}`,
      ed25519,
    );
    expect(made['signature']).toBe(b26.signature);
  });

  it('are refused where anything that they cover is another', () => {
    const faultOf = (change: object, headers: object = {}): unknown => {
      try {
        return verify.httpSignature({ ...request, ...change, headers: { ...b26, ...headers } }, { ...ed25519, nowMs });
      } catch (error) {
        return (error as { detail?: { fault?: string } }).detail?.fault;
      }
    };
    expect(faultOf({ method: 'PUT' })).toBe('wrong');
    expect(faultOf({ url: 'https://example.org/foo?param=Value' })).toBe('wrong');
    expect(faultOf({ url: 'https://example.com/bar' })).toBe('wrong');
    expect(faultOf({}, { date: 'Tue, 20 Apr 2021 02:07:56 GMT' })).toBe('wrong');
    // Neither the query nor the body is covered by it.
    expect(faultOf({ url: 'https://example.com/foo', body: 'other' })).toMatchObject({ atMs: nowMs });
  });
});
