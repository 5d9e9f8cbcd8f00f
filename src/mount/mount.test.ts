/** Mounts on the servers that they are for, as far as these come with the runtime; test/process/packaging has the frameworks. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createClient } from '../client/index.js';
import { createSpine, defineApp, memory, workflow, type PagesOptions } from '../spine/index.js';
import { expressHandler, fastifyPlugin, honoHandler, nextHandler } from './index.js';

/** A form that takes anything. */
const edit = {
  '~standard': {
    version: 1 as const,
    vendor: 'test',
    validate: (value: unknown) => ({ value }),
    jsonSchema: { input: () => ({ type: 'object' }), output: () => ({ type: 'object' }) },
  },
};

const echo = workflow('echo', {}, async (ctx, input) => {
  await ctx.sleep('50ms');
  const review = await ctx.approve('fine', { to: 'role:editor', form: edit });
  return review.outcome === 'approved' ? input : null;
});
const app = defineApp({ workflows: [echo] });
const options: PagesOptions & { readonly basePath: string } = {
  basePath: '/spine',
  start: ['echo'],
  approvals: true,
  authorize: () => ({ tenant: 'acme', user: 'ada', roles: ['editor'] }),
};

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

function spineOf() {
  const spine = createSpine(app, { store: memory() });
  ends.push(() => spine.close());
  return spine;
}

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.unshift(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Starts a run from a page, follows it by its token, approves what it asks by the session, and gives its result. */
async function roundTrip(url: string, fetch: typeof globalThis.fetch = globalThis.fetch): Promise<unknown> {
  const session = createClient<typeof app>({ url, fetch });
  const run = await session.start('echo', { text: 'ü'.repeat(2_000) }, { readToken: '1m' });
  const reader = createClient<typeof app>({ url, fetch, token: (await run.readToken()).token }).run<'echo'>(run.id);
  const seen: string[] = [];
  for await (const item of reader.stream()) {
    seen.push(item.event === 'event' ? item.data.type : item.event);
    if (seen.at(-1) !== 'wait.opened') continue;
    const [asked] = (await session.approvals.list({ to: 'role:editor' }).page()).items;
    await session.approvals.approve(asked?.id ?? '', { form: { fine: 'ü' } });
  }
  expect(seen.at(-1)).toBe('end');
  expect(seen).toContain('run.succeeded');
  return await reader.result();
}

const expected = { text: 'ü'.repeat(2_000) };

describe('a mount', () => {
  it('of Next and of Hono answers requests', async () => {
    const { GET, POST } = nextHandler(spineOf(), options);
    const next: typeof globalThis.fetch = (input, init) => {
      const request = new Request(input, init);
      return request.method === 'GET' ? GET(request) : POST(request);
    };
    expect(await roundTrip('http://app.example.com/spine', next)).toEqual(expected);
    const handler = honoHandler(spineOf(), options);
    const hono: typeof globalThis.fetch = (input, init) => handler({ req: { raw: new Request(input, init) } });
    expect(await roundTrip('http://app.example.com/spine', hono)).toEqual(expected);
  });

  it('of Express answers with the body unread, and below the path that Express takes away', async () => {
    const handler = expressHandler(spineOf(), options);
    expect(await roundTrip(`${await listen(handler)}/spine`)).toEqual(expected);
    const mounted = await listen((request, response) => {
      Object.assign(request, { originalUrl: request.url, url: (request.url ?? '').replace('/spine', '') });
      handler(request, response);
    });
    expect(await roundTrip(`${mounted}/spine`)).toEqual(expected);
  });

  it('of Express answers where a parser has read the body', async () => {
    const handler = expressHandler(spineOf(), options);
    for (const parse of [JSON.parse, (text: string) => text, (text: string) => Buffer.from(text)]) {
      const url = await listen((request, response) => {
        let text = '';
        request.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        request.on('end', () => {
          Object.assign(request, { body: text === '' ? undefined : (parse(text) as unknown) });
          setImmediate(() => handler(request, response));
        });
      });
      expect(await roundTrip(`${url}/spine`)).toEqual(expected);
    }
  });

  it('of Fastify takes over what is below its base path, with the body unread', async () => {
    let parser: unknown = null;
    let handle: ((request: { raw: IncomingMessage }, reply: { raw: ServerResponse; hijack(): void }) => void) | null =
      null;
    await fastifyPlugin(
      spineOf(),
      options,
    )({
      removeAllContentTypeParsers: () => undefined,
      addContentTypeParser: (type, given) => void (parser = [type, given]),
      all: (path, given) => {
        expect(path).toBe('/spine/*');
        handle = given;
      },
    });
    expect(parser).not.toBeNull();
    const url = await listen((raw, response) => handle?.({ raw }, { raw: response, hijack: () => undefined }));
    expect(await roundTrip(`${url}/spine`)).toEqual(expected);
    expect(() => fastifyPlugin(spineOf(), { ...options, basePath: '' })).toThrow('basePath');
  });

  it('answers with a problem when the spine is closed', async () => {
    const spine = spineOf();
    const url = await listen(expressHandler(spine, options));
    await spine.close();
    const answer = await fetch(`${url}/spine/health/live`);
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([503, 'SHUTTING_DOWN']);
  });
});
