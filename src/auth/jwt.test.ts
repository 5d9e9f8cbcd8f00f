/** Tokens: those that are right, and the attacks that there are. */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { exportJWK, exportSPKI, CompactEncrypt, SignJWT, UnsecuredJWT, type JWTPayload } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Principal } from '../server/index.js';
import { jwt, type JwtOptions, type JwtPorts } from './index.js';

const issuer = 'https://login.example.com';
const at = 1_800_000_000;

interface Pair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}
const rsa = (): Pair => generateKeyPairSync('rsa', { modulusLength: 2048 });
const [ours, theirs, small] = [rsa(), rsa(), generateKeyPairSync('rsa', { modulusLength: 1024 })];
const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const edwards = generateKeyPairSync('ed25519');

/** The set as an issuer publishes it. */
let keys: { keys: object[] };
let publicPem: string;

beforeAll(async () => {
  keys = {
    keys: [
      { ...(await exportJWK(ours.publicKey)), kid: 'ours', use: 'sig' },
      { ...(await exportJWK(curve.publicKey)), kid: 'curve' },
      { ...(await exportJWK(edwards.publicKey)), kid: 'edwards' },
    ],
  };
  publicPem = await exportSPKI(ours.publicKey);
});

const claims: JWTPayload = { iss: issuer, aud: 'eventspine', sub: 'ada', iat: at - 60, exp: at + 600, org: 'acme' };

function part(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** A token made by hand, signed over whatever its parts are. */
function signed(header: unknown, payload: unknown, key = ours.privateKey): string {
  const body = `${part(header)}.${part(payload)}`;
  return `${body}.${sign('sha256', Buffer.from(body), key).toString('base64url')}`;
}

function usual(payload: unknown = claims, header: object = {}): string {
  return signed({ alg: 'RS256', kid: 'ours', ...header }, payload);
}

function asker(options: Partial<JwtOptions> = {}, ports: JwtPorts = {}) {
  const authorize = jwt(
    { issuer, audience: 'eventspine', keys, tenant: { claim: 'org' }, ...options },
    { clock: { now: () => at * 1_000, monotonicMs: () => 0 }, ...ports },
  );
  return async (token: string | null, scheme = 'Bearer'): Promise<Principal | null> => {
    const headers = new Headers(token === null ? {} : { authorization: `${scheme} ${token}` });
    return await authorize({ method: 'GET', url: `/v1/runs?access_token=${usual()}`, headers });
  };
}

async function refusal(asked: Promise<unknown>): Promise<string> {
  const found: unknown = await asked.then(
    (value) => (value === null ? 'nobody' : JSON.stringify(value)),
    (error: unknown) => error,
  );
  if (typeof found === 'string') return found;
  const { code, message } = found as { code: string; message: string };
  return `${code}: ${message.replace('The token is not accepted: ', '')}`;
}

describe('a token of the issuer', () => {
  it('names tenant and user', async () => {
    expect(await asker()(usual())).toEqual({ tenant: 'acme', user: 'ada', roles: [], until: (at + 600) * 1_000 });
  });

  it('is verified with whichever key it is signed with', async () => {
    const ask = asker();
    for (const [alg, kid, key] of [
      ['RS256', 'ours', ours.privateKey],
      ['PS384', 'ours', ours.privateKey],
      ['ES256', 'curve', curve.privateKey],
      ['EdDSA', 'edwards', edwards.privateKey],
    ] as const) {
      const token = await new SignJWT(claims).setProtectedHeader({ alg, kid }).sign(key);
      expect(await ask(token)).toMatchObject({ user: 'ada' });
    }
  });

  it('may leave out which key that was, also where there are several', async () => {
    const several = { keys: [{ ...(await exportJWK(theirs.publicKey)), kid: 'theirs' }, ...keys.keys] };
    expect(await asker({ keys: several })(signed({ alg: 'RS256' }, claims))).toMatchObject({ user: 'ada' });
    expect(await refusal(asker({ keys: several })(signed({ alg: 'RS256' }, claims, rsa().privateKey)))).toBe(
      'TOKEN_REFUSED: its signature is not right.',
    );
  });

  it('may be for several, of which this server is one', async () => {
    expect(await asker()(usual({ ...claims, aud: ['a', 'eventspine'] }))).not.toBeNull();
    expect(await asker({ audience: ['b', 'a'] })(usual({ ...claims, aud: ['a', 'eventspine'] }))).not.toBeNull();
  });

  it('is signed with a shared secret where that was said', async () => {
    const [secret, former] = ['s'.repeat(32), 'f'.repeat(32)];
    const ask = asker({ keys: undefined as never, secret: [secret, former] });
    for (const one of [secret, former]) {
      const token = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(one));
      expect(await ask(token)).toMatchObject({ user: 'ada' });
    }
    expect(await refusal(ask(usual()))).toContain('not allowed here');
    const other = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256' })
      .sign(new TextEncoder().encode('x'.repeat(32)));
    expect(await refusal(ask(other))).toContain('its signature is not right');
  });

  it('is good until it expires, however often it comes', async () => {
    const time = { now: at };
    const ask = asker({ tolerance: 0 }, { clock: { now: () => time.now * 1_000, monotonicMs: () => 0 } });
    const token = usual({ ...claims, exp: at + 10 });
    for (; time.now < at + 10; time.now += 5) expect(await ask(token)).not.toBeNull();
    expect(await refusal(ask(token))).toBe('TOKEN_REFUSED: it has expired.');
  });
});

describe('a token that is an attack', () => {
  it.each<[string, () => string | Promise<string>, string]>([
    ['unsigned', () => new UnsecuredJWT(claims).encode(), 'nobody'],
    ...['none', 'None', 'NONE', 'nOnE'].map((alg): [string, () => string, string] => [
      `alg ${alg} with a signature`,
      () => usual(claims, { alg }),
      'not allowed here',
    ]),
    ['alg none without a signature', () => `${part({ alg: 'none' })}.${part(claims)}.`, 'nobody'],
    ['alg none of two parts', () => `${part({ alg: 'none' })}.${part(claims)}`, 'nobody'],
    ['its signature cut off', () => usual().replace(/[^.]+$/, ''), 'nobody'],
    ['its signature empty but for a dot', () => `${usual()}.`, 'nobody'],
    ['HS256 with the public key as PEM', () => hmac(publicPem), 'not allowed here'],
    ['HS256 with the public key as JSON', () => hmac(JSON.stringify(keys.keys[0])), 'not allowed here'],
    ['HS256 with an empty secret', () => hmac(''), 'not allowed here'],
    ['an algorithm of no use here', () => usual(claims, { alg: 'RS1' }), 'not allowed here'],
    ['no algorithm', () => signed({ kid: 'ours' }, claims), 'nobody'],
    ['a list of algorithms', () => usual(claims, { alg: ['RS256'] }), 'nobody'],
    ['ES256 with a key for RSA', () => usual(claims, { alg: 'ES256' }), 'no such key'],
    ['kid of another key', () => usual(claims, { kid: 'curve' }), 'no such key'],
    ['kid as a path', () => usual(claims, { kid: '../../../../dev/null' }), 'no such key'],
    ['kid as SQL', () => usual(claims, { kid: "' UNION SELECT 'key" }), 'no such key'],
    ['kid of a prototype', () => usual(claims, { kid: '__proto__' }), 'no such key'],
    ['kid that nobody knows', () => usual(claims, { kid: 'other' }), 'no such key'],
    ['kid as a number', () => usual(claims, { kid: 1 }), 'id of its key'],
    ['kid without end', () => usual(claims, { kid: 'k'.repeat(1_000) }), 'id of its key'],
    [
      'jwk of the attacker',
      async () => signed({ alg: 'RS256', jwk: await exportJWK(theirs.publicKey) }, claims, theirs.privateKey),
      'its header has "jwk"',
    ],
    [
      'jku of the attacker',
      () => signed({ alg: 'RS256', jku: 'https://evil.example' }, claims, theirs.privateKey),
      'its header has "jku"',
    ],
    [
      'x5u of the attacker',
      () => signed({ alg: 'RS256', x5u: 'https://evil.example' }, claims, theirs.privateKey),
      'its header has "x5u"',
    ],
    [
      'x5c of the attacker',
      () => signed({ alg: 'RS256', x5c: ['MII'] }, claims, theirs.privateKey),
      'its header has "x5c"',
    ],
    ['crit that nobody understands', () => usual(claims, { crit: ['exp'], exp: 1 }), 'its header has "crit"'],
    ['unencoded payload', () => usual(claims, { b64: false, crit: ['b64'] }), 'its header has "crit"'],
    ['compressed', () => usual(claims, { zip: 'DEF' }), 'its header has "zip"'],
    ['a token in a token', () => usual(new UnsecuredJWT(claims).encode(), { cty: 'JWT' }), 'nobody'],
    ['nested, with claims', () => usual(claims, { cty: 'JWT' }), 'its header has "cty"'],
    ['typ of another use', () => usual(claims, { typ: 'logout+jwt' }), 'of another type'],
    [
      'encrypted to our public key',
      () =>
        new CompactEncrypt(Buffer.from(JSON.stringify(claims)))
          .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A256GCM' })
          .encrypt(ours.publicKey),
      'nobody',
    ],
    [
      'signed by somebody else',
      () => signed({ alg: 'RS256', kid: 'ours' }, claims, theirs.privateKey),
      'signature is not right',
    ],
    [
      'with changed claims',
      () => usual().replace(/\.[^.]+\./, `.${part({ ...claims, sub: 'eve' })}.`),
      'signature is not right',
    ],
    ['of another issuer', () => usual({ ...claims, iss: 'https://evil.example' }), 'nobody'],
    ['of nearly the issuer', () => usual({ ...claims, iss: `${issuer}/` }), 'nobody'],
    ['of a list of issuers', () => usual({ ...claims, iss: [issuer] }), 'nobody'],
    ['without issuer', () => usual({ ...claims, iss: undefined }), 'nobody'],
    ['for another audience', () => usual({ ...claims, aud: 'other' }), '"aud" is not as'],
    ['for part of the audience', () => usual({ ...claims, aud: 'eventspine2' }), '"aud" is not as'],
    ['for nobody', () => usual({ ...claims, aud: undefined }), '"aud" is missing'],
    ['without end', () => usual({ ...claims, exp: undefined }), '"exp" is missing'],
    ['with its end as a text', () => usual({ ...claims, exp: String(at + 600) }), '"exp" is not as'],
    ['with its end as null', () => usual({ ...claims, exp: null }), '"exp" is not as'],
    ['expired', () => usual({ ...claims, exp: at - 31 }), 'it has expired'],
    ['expired ten minutes ago', () => usual({ ...claims, exp: at - 600 }), 'it has expired'],
    ['of the future', () => usual({ ...claims, nbf: at + 600 }), '"nbf" is not as'],
    ['made in the future', () => usual({ ...claims, iat: at + 600 }), 'made in the future'],
    ['with its beginning as a text', () => usual({ ...claims, nbf: '0' }), '"nbf" is not as'],
    ['without tenant', () => usual({ ...claims, org: undefined }), 'names no tenant'],
    ['with an empty tenant', () => usual({ ...claims, org: '' }), 'names no tenant'],
    ['with two tenants', () => usual({ ...claims, org: ['acme', 'other'] }), 'names no tenant'],
    [
      'with the tenant of the installation',
      () => usual({ ...claims, org: 'eventspine.system'.padEnd(65, '.') }),
      'names no tenant',
    ],
    ['without user', () => usual({ ...claims, sub: undefined }), 'names no user'],
    ['with a user of two lines', () => usual({ ...claims, sub: 'ada\nroot' }), 'names no user'],
    ['with the user of an API key', () => usual({ ...claims, sub: 'key:root' }), 'begins with "key:"'],
    ['with a claim twice', () => usual(JSON.stringify(claims).replace('{', '{"org":"other",')), 'there twice'],
    [
      'with a claim twice, one escaped',
      () => usual(JSON.stringify(claims).replace('{', '{"\\u006frg":"other",')),
      'there twice',
    ],
    ['with a header twice', () => signed('{"alg":"none","alg":"RS256","kid":"ours"}', claims), 'there twice'],
    ['no JSON', () => usual('claims'), 'nobody'],
    [
      'invalid UTF-8',
      () => `${part({ alg: 'RS256' })}.${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}.AAAA`,
      'nobody',
    ],
    ['a list', () => usual([claims]), 'nobody'],
    ['huge', () => usual({ ...claims, filler: 'x'.repeat(10_000) }), 'nobody'],
    ['base64 with another alphabet', () => usual().replace(/.$/, '+'), 'nobody'],
  ])('is refused: %s', async (_, make, expected) => {
    const found = await refusal(asker()(await make()));
    expect(found).toContain(expected);
    expect(found).not.toContain('acme');
  });

  it('is refused where only some algorithms are allowed, with a key that would do', async () => {
    expect(await refusal(asker({ algorithms: ['ES256'] })(usual()))).toContain('not allowed here');
  });

  it('is refused with a key of the issuer that is too small', async () => {
    const set = { keys: [{ ...(await exportJWK(small.publicKey)), kid: 'ours' }] };
    const token = signed({ alg: 'RS256', kid: 'ours' }, claims, small.privateKey);
    expect(await refusal(asker({ keys: set })(token))).toContain('TOKEN_REFUSED');
  });

  it('is looked for in the header of bearers alone', async () => {
    expect(await asker()(null)).toBeNull();
    expect(await asker()(usual(), 'Basic')).toBeNull();
    expect(await asker()(usual(), 'DPoP')).toBeNull();
  });

  it('of one type is asked for where that was said', async () => {
    const ask = asker({ type: 'at+jwt' });
    expect(await refusal(ask(usual()))).toContain('of another type');
    expect(await ask(usual(claims, { typ: 'AT+JWT' }))).not.toBeNull();
  });
});

function hmac(secret: string): string {
  const body = `${part({ alg: 'HS256', kid: 'ours' })}.${part(claims)}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}

describe('what claims mean', () => {
  it.each<[string, Partial<JwtOptions>, object, Partial<Principal>]>([
    ['one tenant for all', { tenant: 'solo' }, {}, { tenant: 'solo' }],
    ['a tenant by a map', { tenant: { claim: 'org', map: { acme: 'a-corp' } } }, {}, { tenant: 'a-corp' }],
    ['a tenant by a function', { tenant: ({ org }) => `t-${String(org)}` }, {}, { tenant: 't-acme' }],
    ['a user by a claim', { user: { claim: 'email' } }, { email: 'ada@acme' }, { user: 'ada@acme' }],
    ['roles for all', { roles: ['viewer'] }, {}, { roles: ['viewer'] }],
    ['roles of a text', { roles: { claim: 'roles' } }, { roles: 'a b  a' }, { roles: ['a', 'b'] }],
    [
      'no power by its name',
      { roles: { claim: 'roles' } },
      { roles: ['operator', 'worker', 'admin', 'viewer'] },
      { roles: ['viewer'] },
    ],
    [
      'power by a map',
      { roles: { claim: 'groups', map: { sre: ['operator', 'viewer'] } } },
      { groups: ['sre', 'admin', '__proto__'] },
      { roles: ['operator', 'viewer'] },
    ],
    [
      'roles in an object',
      { roles: { claim: ['realm_access', 'roles'] } },
      { realm_access: { roles: ['a'] } },
      { roles: ['a'] },
    ],
    ['no roles of a prototype', { roles: { claim: ['__proto__', 'roles'] } }, {}, { roles: [] }],
    [
      'permissions of scopes',
      { permissions: { claim: 'scope' } },
      { scope: 'openid read:workflow/** x' },
      { permissions: ['read:workflow/**'] },
    ],
    ['nothing, where it has no permission', { permissions: { claim: 'scope' } }, {}, { permissions: [] }],
    [
      'nothing, where the claim is of another kind',
      { permissions: { claim: 'scope' } },
      { scope: { '*:*': true } },
      { permissions: [] },
    ],
    ['clearances', { clearances: { claim: 'sees' } }, { sees: ['pii'] }, { clearances: ['pii'] }],
  ])('%s', async (_, options, more, expected) => {
    expect(await asker(options)(usual({ ...claims, ...more }))).toMatchObject(expected);
  });

  it('nothing, where a map does not know the tenant', async () => {
    for (const org of ['other', 'constructor', '__proto__'])
      expect(
        await refusal(asker({ tenant: { claim: 'org', map: { acme: 'a' } } })(usual({ ...claims, org }))),
      ).toContain('names no tenant');
  });
});

describe('the keys of an issuer', () => {
  /** An issuer on the net of the test. */
  function published(answers: Record<string, () => Response | Promise<Response>>) {
    const time = { ms: 0 };
    const asked: string[] = [];
    const fetch = (async (input: string, init: RequestInit) => {
      asked.push(input);
      expect(init.redirect).toBe('error');
      const answer = answers[input];
      if (answer === undefined) throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } });
      return await answer();
    }) as typeof globalThis.fetch;
    const clock = { now: () => at * 1_000 + time.ms, monotonicMs: () => time.ms };
    const ask = asker({ keys: undefined as never }, { clock, fetch });
    return { time, asked, ask };
  }

  const document = `${issuer}/.well-known/openid-configuration`;
  const set = `${issuer}/keys`;
  const discovery = () => Response.json({ issuer, jwks_uri: set });
  const token = () => usual({ ...claims, exp: at + 100_000 });

  it('are found by its OpenID document, and read once for all who come at the same time', async () => {
    const { ask, asked } = published({ [document]: discovery, [set]: () => Response.json(keys) });
    expect(await Promise.all([1, 2, 3].map(() => ask(token())))).toHaveLength(3);
    expect(asked).toEqual([document, set]);
    for (let i = 0; i < 10; i++) await ask(usual({ ...claims, jti: String(i) }));
    expect(asked).toHaveLength(2);
  });

  it('are believed for a minute: one that was taken back is good no longer', async () => {
    let now: object = keys;
    const { ask, time } = published({ [document]: discovery, [set]: () => Response.json(now) });
    const [used, idle] = [token(), usual({ ...claims, exp: at + 100_000, jti: 'idle' })];
    await ask(used);
    await ask(idle);
    now = { keys: keys.keys.slice(1) };
    time.ms += 60_001;
    for (const one of [used, idle]) expect(await refusal(ask(one))).toContain('no such key');
  });

  it('are read again in time where tokens come, and nobody waits for that', async () => {
    let now: object = keys;
    const { ask, time, asked } = published({ [document]: discovery, [set]: () => Response.json(now) });
    await ask(token());
    now = { keys: keys.keys.slice(1) };
    time.ms += 31_000;
    expect(await ask(token())).not.toBeNull();
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toHaveLength(4);
    expect(await refusal(ask(token()))).toContain('no such key');
  });

  it('are asked for at once where one is new, but not more often than every ten seconds', async () => {
    let now: object = { keys: keys.keys.slice(1) };
    const { ask, time, asked } = published({ [document]: discovery, [set]: () => Response.json(now) });
    expect(await refusal(ask(token()))).toContain('no such key');
    now = keys;
    for (let i = 0; i < 20; i++) expect(await refusal(ask(token()))).toContain('no such key');
    expect(asked).toHaveLength(2);
    time.ms += 10_000;
    expect(await ask(token())).not.toBeNull();
    expect(asked).toHaveLength(4);
  });

  it('are kept for an hour while it does not answer', async () => {
    const answers: Record<string, () => Response> = { [document]: discovery, [set]: () => Response.json(keys) };
    const { ask, time } = published(answers);
    await ask(token());
    delete answers[set];
    time.ms += 59 * 60_000;
    expect(await ask(token())).not.toBeNull();
    time.ms += 2 * 60_000;
    expect(await refusal(ask(token()))).toBe(`ISSUER_UNREACHABLE: The keys of ${issuer} cannot be read: ECONNREFUSED.`);
  });

  it.each<[string, () => Response, string]>([
    ['another issuer', () => Response.json({ issuer: 'https://evil.example', jwks_uri: set }), 'of another issuer'],
    [
      'an address without https',
      () => Response.json({ issuer, jwks_uri: 'http://login.example.com/keys' }),
      'no address',
    ],
    ['a file', () => Response.json({ issuer, jwks_uri: 'file:///etc/passwd' }), 'no address'],
    ['no address', () => Response.json({ issuer }), 'no address'],
    ['an error', () => new Response('secret text', { status: 500 }), 'it answers 500'],
    ['no JSON', () => new Response('secret text'), 'its answer is not JSON'],
    ['far too much', () => new Response('x'.repeat(300_000)), 'too large'],
  ])('are not read where its document has %s', async (_, answer, reason) => {
    const { ask } = published({ [document]: answer, [set]: () => Response.json(keys) });
    const found = await refusal(ask(token()));
    expect(found).toContain(reason);
    expect(found).not.toContain('secret text');
  });

  it('are not read where they are no set', async () => {
    const { ask } = published({ [document]: discovery, [set]: () => Response.json({ keys: 'none' }) });
    expect(await refusal(ask(token()))).toContain('no set of keys');
  });
});

describe('options', () => {
  const good = (): JwtOptions => ({ issuer, audience: 'eventspine', tenant: 'acme' });

  it.each<[object, string]>([
    [{ issuer: '' }, 'issuer is not given'],
    [{ issuer: 'login.example.com' }, 'where its keys are looked for, is no URL'],
    [{ issuer: 'http://login.example.com' }, 'is not https'],
    [{ audience: '' }, 'audience is not given'],
    [{ audience: [] }, 'audience is not given'],
    [{ tenant: undefined }, 'tenant is not given'],
    [{ jwks: 'http://login.example.com/keys' }, 'jwks is not https'],
    [{ jwks: 'https://me:secret@login.example.com/keys' }, 'has a user or password'],
    [{ jwks: 'https://a.example/keys', secret: 's'.repeat(32) }, 'more than one is given'],
    [{ secret: 'short' }, 'has not at least 32'],
    [{ secret: [] }, 'has not at least 32'],
    [{ algorithms: ['none'] }, 'algorithms are not some of'],
    [{ algorithms: ['HS256'] }, 'algorithms are not some of'],
    [{ algorithms: [] }, 'algorithms are not some of'],
    [{ secret: 's'.repeat(32), algorithms: ['RS256'] }, 'algorithms are not some of'],
    [{ tolerance: '6m' }, 'tolerance is not'],
    [{ keys: { keys: [] } }, 'no set of public keys'],
    [{ keys: { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] } }, 'no set of public keys'],
    [{ keys: { keys: [{ kty: 'RSA', n: 'AA', e: 'AQAB', d: 'AA' }] } }, 'no set of public keys'],
    [{ audiences: 'eventspine' }, 'audiences is not an option'],
  ])('are refused: %j', (wrong, fault) => {
    expect(() => jwt({ ...good(), ...wrong })).toThrow(fault);
  });

  it('may name an issuer on this machine without https', () => {
    expect(() => jwt({ ...good(), issuer: 'http://localhost:8080/realms/dev' })).not.toThrow();
  });
});
