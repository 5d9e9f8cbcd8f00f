/**
 * A server of the auth benchmark: `auth-server.ts none|token|key|permissions|jwt <file>`; tells its URL and the credential that it
 * asks for to the parent, and for `jwt` how long a token takes that it has not seen.
 */
import { createHash, generateKeyPairSync, timingSafeEqual } from 'node:crypto';
import { createSpine } from 'eventspine';
import { apiKeysOnly, jwt } from 'eventspine/auth';
import type { Authorize } from 'eventspine/server';
import { sqlite } from 'eventspine/sqlite';
import { exportJWK, SignJWT } from 'jose';
import { app } from './app.js';

const [, , kind, file = ''] = process.argv;
const token = 'a token of thirty-two characters';
const issuer = 'https://login.example.com';
const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
const byToken: Authorize = ({ headers }) =>
  timingSafeEqual(digest(headers.get('authorization') ?? ''), digest(`Bearer ${token}`))
    ? { tenant: 'default', user: 'token', roles: ['operator', 'worker', 'admin'] }
    : null;
const byJwt = jwt({
  issuer,
  audience: 'eventspine',
  tenant: 'default',
  permissions: ['start:workflow/*', 'read:workflow/*'],
  keys: { keys: [await exportJWK(pair.publicKey)] },
});

const signed = (id: number): Promise<string> =>
  new SignJWT({ jti: String(id) })
    .setProtectedHeader({ alg: 'RS256' })
    .setIssuer(issuer)
    .setAudience('eventspine')
    .setSubject('ada')
    .setExpirationTime('1h')
    .sign(pair.privateKey);

const authorize = { none: undefined, token: byToken, key: apiKeysOnly, permissions: apiKeysOnly, jwt: byJwt }[
  kind ?? ''
];
const spine = createSpine(app, {
  store: sqlite({ file }),
  worker: false,
  server: { port: 0, ...(authorize === undefined ? {} : { authorize }) },
});
const { url } = await spine.listen();
process.send?.({ url, credential: await credential(), freshMicros: kind === 'jwt' ? await freshMicros() : null });
// How much of the processor this server has taken, for whoever asks.
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMicros: user + system });
});
process.on('SIGTERM', () => void spine.close().then(() => process.exit(0)));

async function credential(): Promise<string | null> {
  switch (kind) {
    case 'token':
      return token;
    case 'key':
      return (await spine.keys.create('bench')).key;
    case 'permissions':
      return (await spine.keys.create('bench', { permissions: ['start:workflow/n*', 'read:workflow/**'] })).key;
    case 'jwt':
      return await signed(0);
    default:
      return null;
  }
}

/** How long a token takes that was not seen before, one after the other. */
async function freshMicros(): Promise<number> {
  const tokens = await Promise.all(Array.from({ length: 300 }, (_, i) => signed(i + 1)));
  const began = performance.now();
  for (const one of tokens)
    await byJwt({ method: 'POST', url: '/', headers: new Headers({ authorization: `Bearer ${one}` }) });
  return ((performance.now() - began) / tokens.length) * 1_000;
}
