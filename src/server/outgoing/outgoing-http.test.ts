/** Requests to hosts that others have named: where they go, where they never go, and how what became of them is told. */
import type { LookupAddress } from 'node:dns';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { nodePorts } from '../../runtime/index.js';
import type { AddressRules, Resolve } from './address-guard.js';
import { OutgoingHttp, retryAfterMs, type OutgoingRequest } from './outgoing-http.js';

const { timers } = nodePorts;
const strict: AddressRules = { allowLoopback: false };
const loose: AddressRules = { allowLoopback: true };
const cleanUps: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const end of cleanUps.splice(0).reverse()) await end();
});

/** What listens on this machine and hears nothing of anybody who may not come here. */
async function listening(listener: RequestListener): Promise<{ readonly port: number; readonly heard: string[] }> {
  const heard: string[] = [];
  const server = createServer((request, response) => {
    heard.push(`${request.method} ${request.url}`);
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port, heard };
}

function http(rules: AddressRules, resolve?: Resolve): OutgoingHttp {
  const made = new OutgoingHttp({ rules, timers, ...(resolve === undefined ? {} : { resolve }) });
  cleanUps.push(() => made.close());
  return made;
}

const names = (table: Readonly<Record<string, LookupAddress[]>>, asked: string[] = []): Resolve => {
  return (name, _, done) => {
    asked.push(name);
    done(null, table[name] ?? []);
  };
};
const four = (address: string): LookupAddress => ({ address, family: 4 });
const six = (address: string): LookupAddress => ({ address, family: 6 });
const get = (url: string, more: Partial<OutgoingRequest> = {}): OutgoingRequest => ({
  url: new URL(url),
  timeoutMs: 2_000,
  answerBytesMax: 1_000,
  ...more,
});

/** Forty ways to name a place that nobody outside may be sent to: as addresses, and as what a name is made to stand for. */
const forms: readonly { readonly host: string; readonly resolvesTo?: LookupAddress[] }[] = [
  ...[
    ...['127.0.0.1', '127.1', '0x7f.0.0.1', '0x7f000001', '0177.0.0.1', '2130706433', '127.0.0.1.', '①②⑦.⓪.⓪.①'],
    ...['0', '0.0.0.0', '10.0.0.1', '172.16.0.1', '192.168.1.1', '169.254.169.254', '0xa9fea9fe', '100.64.0.1'],
    ...['198.18.0.1', '224.0.0.1', '255.255.255.255', '[::]', '[::1]', '[::127.0.0.1]', '[::ffff:127.0.0.1]'],
    ...['[::ffff:a9fe:a9fe]', '[64:ff9b::7f00:1]', '[64:ff9b:1::1]', '[2002:7f00:1::]', '[2001:0:1::1]', '[fc00::1]'],
    ...['[fe80::1]', '[ff02::1]', '[fd00:ec2::254]'],
  ].map((host) => ({ host })),
  { host: 'localhost', resolvesTo: [four('127.0.0.1')] },
  { host: 'metadata.example', resolvesTo: [four('169.254.169.254')] },
  { host: 'inside.example', resolvesTo: [four('10.1.2.3')] },
  { host: 'mapped.example', resolvesTo: [six('::ffff:127.0.0.1')] },
  { host: 'translated.example', resolvesTo: [six('64:ff9b::a00:1')] },
  { host: 'mixed.example', resolvesTo: [four('93.184.215.14'), four('127.0.0.1')] },
  { host: 'zone.example', resolvesTo: [six('fe80::1%eth0')] },
  { host: 'nothing.example', resolvesTo: [] },
];
const redirects = [
  { kind: '302 to the whole address', status: 302, to: (host: string, port: number) => `https://${host}:${port}/in` },
  { kind: '307 without a scheme', status: 307, to: (host: string, port: number) => `//${host}:${port}/in` },
  { kind: '308 to plain http', status: 308, to: (host: string, port: number) => `http://${host}:${port}/in` },
] as const;

describe('a request to a host that somebody named', () => {
  it('knows forty forms', () => {
    expect(forms.length).toBe(40);
  });

  it.each(forms)('never leaves for $host', async ({ host, resolvesTo }) => {
    const { port, heard } = await listening((_, response) => response.end('secret'));
    const table = resolvesTo === undefined ? {} : { [host]: resolvesTo };
    const reply = await http(strict, names(table)).send(get(`https://${host}:${port}/in`));
    expect(reply.tag).toBe('refused');
    // Nor where the operator allows this machine, unless it is this machine by its plain name.
    const isHere = /^(?:127|0x7f|0177|2130706433|①|\[::1\]|localhost|mixed)/.test(host);
    const allowed = await http(loose, names(table)).send(get(`https://${host}:${port}/in`));
    expect(allowed.tag).toBe(isHere ? 'unreached' : 'refused');
    expect(heard).toEqual([]);
  });

  it.each(redirects)('follows no redirect ($kind), whatever it leads to', async ({ status, to }) => {
    const inside = await listening((_, response) => response.end('secret'));
    let location = '';
    const outside = await listening((_, response) => response.writeHead(status, { location }).end());
    const asked: string[] = [];
    const sender = http(loose, names({ localhost: [four('127.0.0.1')] }, asked));
    for (const { host } of forms) {
      location = encodeURI(to(host, inside.port));
      const reply = await sender.send(
        get(`http://localhost:${outside.port}/`, { method: 'POST', body: Buffer.from('{}') }),
      );
      expect(reply).toMatchObject({ tag: 'answer', status });
    }
    expect(outside.heard).toHaveLength(forms.length);
    expect(inside.heard).toEqual([]);
    // The one connection that is kept stands for all of them: no other name was looked up.
    expect(new Set(asked)).toEqual(new Set(['localhost']));
  });

  it('goes to the address that was looked at, also when the name stands for another a moment later', async () => {
    const { port, heard } = await listening((_, response) => response.end('secret'));
    const bent = [[four('93.184.215.14')], [four('127.0.0.1')]];
    const looked: LookupAddress[][] = [];
    const resolve: Resolve = (_, __, done) => {
      const answer = bent[Math.min(looked.length, 1)] ?? [];
      looked.push(answer);
      done(null, answer);
    };
    const sender = http(strict, resolve);
    // Nothing answers there; what matters is that nothing was asked a second time.
    await sender.send(get(`https://bent.example:${port}/`, { timeoutMs: 60 }));
    expect(looked).toHaveLength(1);
    expect((await sender.send(get(`https://bent.example:${port}/`))).tag).toBe('refused');
    expect(heard).toEqual([]);
  });

  it('is refused by its agent too, where nobody has looked at the URL', async () => {
    const { guardedAgent } = await import('./guarded-agent.js');
    const { request } = await import('node:http');
    const { port, heard } = await listening((_, response) => response.end());
    for (const options of [
      { host: '127.0.0.1', port },
      { host: '::1', port },
      { socketPath: '/var/run/docker.sock' },
    ]) {
      const agent = guardedAgent(false, strict);
      const failed = await new Promise<NodeJS.ErrnoException>((resolve) => {
        request({ ...options, agent })
          .on('error', resolve)
          .end();
      });
      expect(failed.code).toBe('ERR_ADDRESS_REFUSED');
      agent.destroy();
    }
    expect(heard).toEqual([]);
  });
});

describe('what becomes of a request', () => {
  const url = (port: number): string => `http://127.0.0.1:${port}/x`;

  it('is its answer, with as much of the body as was asked for', async () => {
    const bodies: string[] = [];
    const { port } = await listening((request: IncomingMessage, response) => {
      request.on('data', (chunk: Buffer) => bodies.push(chunk.toString()));
      request.on('end', () => response.writeHead(418, { 'x-kind': 'tea' }).end('y'.repeat(1_500)));
    });
    const reply = await http(loose).send(
      get(url(port), { method: 'POST', body: Buffer.from('tea?'), headers: { a: 'b' } }),
    );
    expect(bodies).toEqual(['tea?']);
    expect(reply).toMatchObject({ tag: 'answer', status: 418, isCut: true, headers: { 'x-kind': 'tea' } });
    expect(reply.tag === 'answer' && reply.body.byteLength).toBe(1_000);
  });

  it('is told apart: not reached, lost on the way, too late, called off', async () => {
    const silent = await listening(() => {});
    const rude = await listening((request) => request.socket.destroy());
    const sender = http(loose);
    const gone = await listening(() => {});
    await cleanUps.pop()?.();
    expect((await sender.send(get(url(gone.port)))).tag).toBe('unreached');
    expect(await sender.send(get(url(rude.port)))).toMatchObject({ tag: 'lost', isTimeout: false });
    expect(await sender.send(get(url(silent.port), { timeoutMs: 40 }))).toMatchObject({ tag: 'lost', isTimeout: true });
    const off = new AbortController();
    const called = sender.send(get(url(silent.port), { signal: off.signal }));
    off.abort();
    expect((await called).tag).toBe('aborted');
    expect((await sender.send(get(url(silent.port), { signal: off.signal }))).tag).toBe('aborted');
  });
});

describe('retry-after', () => {
  const now = Date.UTC(2026, 0, 1);

  it.each([
    ['120', 120_000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['soon', null],
    ['-1', null],
    ['1e9', null],
    [undefined, null],
  ])('of %s is %s ms', (header, ms) => {
    expect(retryAfterMs(header, now)).toBe(ms);
  });
});
