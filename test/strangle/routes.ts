/** A route of every form, each behind a server of its own or none, so that one test asks all of them the same. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Hono, type Context } from 'hono';
import type { AnyHandler, Strangled } from '../../src/strangle/index.js';

/** What is done at the end of a test. */
export const ends: (() => unknown)[] = [];

/** The old handler: says what it was sent, in upper case. */
export const loud = (body: { readonly text: string }): { readonly text: string } => ({ text: body.text.toUpperCase() });

/** Something that answers requests to paths. */
export type Route = (path: string, init?: RequestInit) => Promise<Response>;

/** Puts a strangled form of a handler where its framework would put it. */
export type Strangling = <H extends AnyHandler>(handler: H) => H & Strangled<H>;

export interface Form {
  readonly name: string;
  /** The route at `/loud`, and its status at `/loud/:run`. */
  serve(strangling: Strangling): Promise<Route>;
}

/** Listens on a free port of this machine. */
export async function listen(
  listener: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<Route> {
  const server = createServer((request, response) => void listener(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.unshift(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return (path, init) => fetch(`http://127.0.0.1:${port}${path}`, init);
}

/** The whole body, read as late and as slowly as handlers do. */
export async function textOf(request: IncomingMessage): Promise<string> {
  await new Promise((resolve) => setImmediate(resolve));
  let text = '';
  request.setEncoding('utf8');
  for await (const chunk of request) text += String(chunk);
  return text;
}

const isStatus = (url: string | undefined): boolean => /^\/loud\/[^/]+$/.test(new URL(url ?? '/', 'http://x').pathname);

const plain: Form = {
  name: 'node:http',
  serve(strangling) {
    const route = strangling(async (request: IncomingMessage, response: ServerResponse) => {
      const text = await textOf(request);
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(loud(JSON.parse(text) as { text: string })));
    });
    return listen((request, response) => void (isStatus(request.url) ? route.status : route)(request, response));
  },
};

/** A parser before the route, `next`, and a mount that takes the path away: what handlers of Express meet. */
const express: Form = {
  name: 'Express, with a parsed body',
  serve(strangling) {
    type Parsed = IncomingMessage & { body?: unknown; params?: Record<string, string>; originalUrl?: string };
    const route = strangling((request: Parsed, response: ServerResponse, next: (error: unknown) => void) => {
      const { text } = request.body as { text: string };
      if (text === 'throw') throw new Error('thrown by the old handler');
      if (text === 'next') return next(new Error('told by the old handler'));
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(loud({ text })));
    });
    return listen(async (request: Parsed, response) => {
      request.originalUrl = request.url ?? '';
      const next = (error: unknown): void => void response.writeHead(500).end(String(error));
      if (isStatus(request.url)) {
        request.params = { run: request.url?.split('/').at(-1) ?? '' };
        return void (route.status as (...args: readonly unknown[]) => unknown)(request, response, next);
      }
      request.body = JSON.parse(await textOf(request)) as unknown;
      request.url = '/';
      response.setHeader('x-before', 'middleware');
      void (route as (...args: readonly unknown[]) => unknown)(request, response, next);
    });
  },
};

const fastify: Form = {
  name: 'Fastify',
  serve(strangling) {
    const route = strangling((request: { body: unknown }) => loud(request.body as { text: string }));
    return listen(async (raw, response) => {
      const text = await textOf(raw);
      const params = isStatus(raw.url) ? { run: raw.url?.split('/').at(-1) ?? '' } : {};
      const reply = new FakeReply(response);
      const request = {
        raw,
        originalUrl: raw.url,
        params,
        body: text === '' ? undefined : (JSON.parse(text) as unknown),
      };
      const handler = (isStatus(raw.url) ? route.status : route) as (...args: readonly unknown[]) => unknown;
      const payload = await handler(request, reply);
      if (payload !== undefined && !reply.sent) reply.send(payload);
    });
  },
};

/** As much of a reply as there is to it. */
class FakeReply {
  readonly raw: ServerResponse;
  sent = false;
  constructor(raw: ServerResponse) {
    this.raw = raw;
  }
  code(status: number): this {
    this.raw.statusCode = status;
    return this;
  }
  header(name: string, value: string): this {
    this.raw.setHeader(name, value);
    return this;
  }
  send(payload: unknown): this {
    this.sent = true;
    if (Buffer.isBuffer(payload)) this.raw.end(payload);
    else this.header('content-type', 'application/json').raw.end(JSON.stringify(payload));
    return this;
  }
}

const hono: Form = {
  name: 'Hono',
  serve(strangling) {
    const web = new Hono();
    const route = strangling(async (c: Context) => c.json(loud(await c.req.json<{ text: string }>())));
    web.post('/loud', route);
    web.get('/loud/:run', route.status);
    return Promise.resolve((path, init) => Promise.resolve(web.fetch(new Request(`http://app.test${path}`, init))));
  },
};

const next: Form = {
  name: 'Next',
  serve(strangling) {
    const POST = strangling(async (request: Request, _context: { params: Promise<Record<string, string>> }) =>
      Response.json(loud((await request.json()) as { text: string })),
    );
    return Promise.resolve((path, init) => {
      const run = path.split('?')[0]?.split('/')[2];
      const params = Promise.resolve(run === undefined ? {} : { run });
      return (run === undefined ? POST : POST.status)(new Request(`http://app.test${path}`, init), { params });
    });
  },
};

export const forms: readonly Form[] = [plain, express, fastify, hono, next];

/** A request with a JSON body. */
export function posted(body: unknown, headers: Readonly<Record<string, string>> = {}): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  };
}
