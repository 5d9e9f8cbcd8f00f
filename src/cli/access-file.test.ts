import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { accessOf } from './access-file.js';
import { Flags } from './command.js';
import { commands } from './commands.js';
import { readEnvironment } from './environment.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventspine-access-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const declared = commands.find(({ words }) => words.join(' ') === 'serve')?.flags ?? [];

async function access(flags: Record<string, string | true>, file?: unknown, token = '') {
  if (file !== undefined) writeFileSync(join(folder, 'a.json'), typeof file === 'string' ? file : JSON.stringify(file));
  const given = file === undefined ? flags : { ...flags, access: 'a.json' };
  const values = new Map(Object.entries(given).map(([name, value]) => [name, [value]]));
  return await accessOf(new Flags(declared, values), {
    folder,
    environment: readEnvironment({ EVENTSPINE_TOKEN: token }),
  });
}

async function ask({ authorize = [] }: Awaited<ReturnType<typeof access>>, token: string) {
  const headers = new Headers({ authorization: `Bearer ${token}` });
  for (const one of authorize) {
    const found = await one({ method: 'GET', url: '/', headers });
    if (found !== null) return found;
  }
  return null;
}

const secret = 'a secret of thirty-two characters';
const issuer = { issuer: 'us', audience: 'eventspine', secret, tenant: { claim: 'org' } };
const tokenOf = (claims: object) =>
  new SignJWT({ iss: 'us', aud: 'eventspine', sub: 'ada', org: 'acme', ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .setExpirationTime('1m')
    .sign(new TextEncoder().encode(secret));

describe('who may use a server of the command line', () => {
  it('is everybody on this machine where nothing is said, and nobody elsewhere', async () => {
    expect(await access({})).toEqual({});
    for (const host of ['127.0.0.1', 'localhost', '::1']) expect(await access({ host })).toEqual({});
    for (const host of ['0.0.0.0', '::', '192.168.1.7', 'spine.example.com'])
      await expect(access({ host })).rejects.toMatchObject({
        code: 'COMMAND_INVALID',
        message: expect.stringContaining('--keys') as string,
      });
    await expect(access({ host: '0.0.0.0' }, { cors: { origins: '*' } })).rejects.toMatchObject({
      code: 'COMMAND_INVALID',
    });
  });

  it.each<[string, Record<string, string | true>, unknown, string]>([
    ['a token', { token: 't' }, undefined, ''],
    ['a token of the environment', {}, undefined, 't'],
    ['API keys', { keys: true }, undefined, ''],
    ['API keys by the file', {}, { keys: true }, ''],
    ['an issuer', {}, { issuers: [issuer] }, ''],
  ])('may be asked from other machines with %s', async (_, flags, file, token) => {
    expect((await access({ ...flags, host: '0.0.0.0' }, file, token)).authorize).toHaveLength(1);
  });

  it('are those whom the file names, beside the token', async () => {
    const found = await access(
      { token: 'root' },
      { issuers: [issuer], roles: ['viewer'], cors: { origins: ['https://a.example'] } },
    );
    expect(await ask(found, 'root')).toMatchObject({ user: 'token', roles: ['operator', 'worker', 'admin'] });
    expect(await ask(found, await tokenOf({}))).toMatchObject({ tenant: 'acme', user: 'ada', roles: ['viewer'] });
    expect(await ask(found, 'other')).toBeNull();
    expect(found.cors).toEqual({ origins: ['https://a.example'] });
    const own = await access({}, { issuers: [{ ...issuer, roles: ['a'] }], roles: ['viewer'] });
    expect(await ask(own, await tokenOf({}))).toMatchObject({ roles: ['a'] });
  });

  it('takes secrets from variables and files beside it', async () => {
    vi.stubEnv('TEST_JWT_SECRET', secret);
    writeFileSync(join(folder, 'secret'), secret);
    for (const place of [{ env: 'TEST_JWT_SECRET' }, { file: 'secret' }]) {
      const found = await access({}, { issuers: [{ ...issuer, secret: place }] });
      expect(await ask(found, await tokenOf({}))).toMatchObject({ user: 'ada' });
    }
    await expect(access({}, { issuers: [{ ...issuer, secret: { env: 'TEST_NOT_SET' } }] })).rejects.toMatchObject({
      code: 'OPTIONS_INVALID',
      detail: { faults: ['access.issuers[0].secret: the variable TEST_NOT_SET is not set'] },
    });
  });

  it.each<[unknown, string]>([
    ['{', 'cannot be read'],
    [[], 'no JSON object'],
    [{ issuer }, 'there is no "issuer"'],
    [{ keys: 'yes' }, 'keys is neither'],
    [{ issuers: issuer }, 'issuers is no list'],
    [{ issuers: [issuer, { ...issuer, audience: '' }] }, 'issuers[1]: audience is not given'],
    [{ issuers: [{ ...issuer, tenant: 5 }] }, 'issuers[0]: tenant is'],
    [{ issuers: [{ ...issuer, roles: 'admin' }] }, 'issuers[0]: roles is'],
    [{ issuers: [{ ...issuer, permissions: { claims: 'scope' } }] }, 'issuers[0]: permissions is'],
    [{ roles: 'viewer' }, 'roles is no list'],
    [{ cors: { origins: ['https://a.example/'] } }, 'cors is not'],
    [{ cors: { origins: ['a.example'] } }, 'cors is not'],
    [{ cors: { origins: '*', methods: [] } }, 'cors is not'],
  ])('is not said by a file of %j', async (file, fault) => {
    await expect(access({}, file)).rejects.toThrow(fault);
  });

  it('takes no API key for the token of the server', async () => {
    await expect(access({ token: 'esk_1' })).rejects.toThrow('--keys');
  });
});
