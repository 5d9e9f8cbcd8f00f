/**
 * Whatever is sent to the API, it answers: never with a fault of its own, always with what our own OpenAPI document says or
 * with a problem that says what to mend, and without holding up others. Requests are made of that document: a route that is
 * added is attacked from its first day.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limits } from '../../../src/core/limits.js';
import type { Problem } from '../../../src/protocol/http.js';
import { sign } from '../../../src/webhooks/index.js';
import { endAll, nightly, script, security, type Child } from '../support/processes.js';
import { requestOf, type OpenApi, type WireRequest } from '../support/request-arbitrary.js';

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

const folder = mkdtempSync(join(tmpdir(), 'eventspine-fuzz-'));
const agent = new Agent({ keepAlive: true, maxSockets: 8 });
const forMs = nightly ? 10 * 60_000 : security ? 3 * 60_000 : 20_000;
/** Another seed is another attack: each night has its own. `FUZZ_SEED` takes up one that found something. */
const seed = Number(process.env['FUZZ_SEED'] ?? (nightly || security ? Date.now() % 2 ** 31 : 1));

let server: Child;
let url: URL;

beforeAll(async () => {
  server = script('watched-server.mjs', [join(folder, 'spine.db')]);
  url = new URL((await server.line((line) => line.startsWith('ready'))).slice('ready '.length));
});

afterAll(async () => {
  agent.destroy();
  await endAll();
  rmSync(folder, { recursive: true, force: true });
});

describe('the API under requests of every kind', () => {
  it('never fails by itself, always says what is wrong, and keeps its loop free', {
    timeout: forMs + 60_000,
  }, async () => {
    const document = (await (await fetch(new URL('/openapi.json', url))).json()) as OpenApi;
    const names = ['echo', 'idle', 'told', 'noted', 'default', 'a'.repeat(64)];
    const until = performance.now() + forMs;
    const seen = new Map<number, number>();
    const attacked = new Set<string>();
    const answers = new Answers(document);
    const broken = new Map<string, string>();
    for (let round = 0; performance.now() < until; round++) {
      const requests = fc.sample(requestOf(document, names), { seed: seed + round, numRuns: 100 });
      const queue = [...requests];
      const attack = async (): Promise<void> => {
        for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
          const sent = next.operation === 'receiveWebhook' ? signed(next) : next;
          const reply = await send(sent);
          attacked.add(sent.operation);
          seen.set(reply.status, (seen.get(reply.status) ?? 0) + 1);
          const unlike = answers.faultOf(sent, reply);
          if (unlike !== null && !broken.has(unlike)) broken.set(unlike, `FUZZ_SEED=${seed + round} ${shown(sent)}`);
          const fault = await faultOf(sent, reply, names);
          if (fault !== null)
            throw new Error(
              `${fault}; again with FUZZ_SEED=${seed + round}\n${shown(sent)}\n${reply.text.slice(0, 500)}`,
            );
        }
      };
      await Promise.all(Array.from({ length: 8 }, attack));
    }
    expect(Object.fromEntries(broken)).toEqual({});
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    expect(operations.map(({ operationId }) => operationId).filter((id) => !attacked.has(id))).toEqual([]);
    // Attacks that get nowhere prove nothing.
    for (const status of [200, 202, 204, 400, 404]) expect(seen.get(status), `answers of ${status}`).toBeGreaterThan(0);
    expect(longestStallMs(server)).toBeLessThan(250);
    expect(server.errors.filter((line) => line.includes('INTERNAL') || line.startsWith('error'))).toEqual([]);
    const doctor = (await (await fetch(new URL('/v1/doctor', url))).json()) as { checks: { ok: boolean }[] };
    expect(doctor.checks.filter((check) => !check.ok)).toEqual([]);
  });

  it.each([
    'GET / HTTP/1.1\r\n\r\n',
    'GET /v1/runs HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n',
    'GET /v1/runs HTTP/9.9\r\nHost: localhost\r\n\r\n',
    'GET http://evil/v1/runs HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET //evil/v1/runs HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET /v1/runs HTTP/1.1\r\nHost: localhost\r\nX: \0\r\n\r\n',
    'GET /\x80\xff HTTP/1.1\r\nHost: localhost\r\n\r\n',
    `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    'POST /v1/workflows/echo/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /v1/workflows/echo/runs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    'POST /v1/workflows/echo/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1e3\r\n\r\n',
    'BREW /pot HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET /v1/worker HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n',
    'GET /v1/worker HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    '\x16\x03\x01\x02\x00',
    '\r\n\r\n\r\n',
  ])('survives the bytes %j', async (bytes) => {
    const answer = await raw(bytes);
    expect(answer === '' || /^HTTP\/1\.1 [1234]\d\d /.test(answer), answer.slice(0, 200)).toBe(true);
    expect((await fetch(new URL('/health/live', url))).status).toBe(200);
  });
});

/** Half of the webhooks are signed, so that what comes after the signature is attacked as well. */
function signed(request: WireRequest): WireRequest {
  const body = request.body ?? new Uint8Array();
  if (body.byteLength % 2 === 1) return request;
  const headers = sign.standard({ id: `msg_${randomUUID()}`, body }, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
  return { ...request, target: '/v1/webhooks/default/noted', headers: { ...request.headers, ...headers } };
}

/** The answers that the document promises. */
class Answers {
  readonly #ajv = new Ajv2020({ strict: false, logger: false });
  readonly #document: OpenApi;
  readonly #checks = new Map<string, ValidateFunction | null>();

  constructor(document: OpenApi) {
    this.#document = document;
    this.#ajv.addSchema(document, 'api');
    this.#ajv.addFormat('date-time', (text) => !Number.isNaN(Date.parse(text)));
  }

  /** What of a reply is not as the document says; null = nothing. */
  faultOf({ operation, method }: WireRequest, { status, type, text }: Reply): string | null {
    if (status < 200 || status >= 400 || type === 'text/event-stream') return null;
    const check = this.#checkOf(operation, method, status);
    if (check === undefined) return `${operation}: status ${status}, of which the document knows nothing`;
    if (check === null || type !== 'application/json') return null;
    if (check(JSON.parse(text))) return null;
    // Which item of a list it is makes no other fault.
    return `${operation} ${status}: ${this.#ajv.errorsText(check.errors).replace(/\/\d+\b/g, '/*')}`;
  }

  /** Undefined = the status is none of the operation; null = the document says nothing of what is in it. */
  #checkOf(operation: string, method: string, status: number): ValidateFunction | null | undefined {
    const key = `${operation} ${status}`;
    const known = this.#checks.get(key);
    if (known !== undefined) return known;
    for (const [path, methods] of Object.entries(this.#document.paths)) {
      const found = methods[method.toLowerCase()];
      if (found?.operationId !== operation) continue;
      const response = found.responses[String(status)];
      if (response === undefined) return undefined;
      const { schema } = response.content?.['application/json'] ?? {};
      const place = `api#/paths/${path.replaceAll('~', '~0').replaceAll('/', '~1')}/${method.toLowerCase()}/responses/${status}/content/application~1json/schema`;
      const check = schema === undefined ? null : this.#ajv.compile({ $ref: encodeURI(place) });
      this.#checks.set(key, check);
      return check;
    }
    return undefined;
  }
}

/** What is wrong with a reply; null = nothing. */
async function faultOf(sent: WireRequest, reply: Reply, names: string[]): Promise<string | null> {
  const { status, type, text } = reply;
  if (status >= 500 && status !== 503 && status !== 507) return `status ${status}`;
  if (status >= 400) {
    if (type !== 'application/problem+json') return `a fault of type ${type}`;
    const problem = JSON.parse(text) as Problem;
    if (problem.status !== status || problem.code === '' || problem.mend === '')
      return 'a problem that says too little';
  }
  if (status !== 202 || sent.operation !== 'startRun') return null;
  const { id } = JSON.parse(text) as { readonly id: string };
  if (names.length < 50) names.push(id);
  for (const path of [`/v1/runs/${id}`, `/v1/runs/${id}/history`]) {
    const read = await fetch(new URL(path, url));
    await read.arrayBuffer();
    if (read.status !== 200) return `an accepted run that reads as ${read.status} at ${path}`;
  }
  return null;
}

function send({ method, target, headers, body }: WireRequest): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = url;
    const sent = httpRequest({
      hostname,
      port,
      method,
      path: target,
      headers: { ...headers, ...(body === null ? {} : { 'content-length': body.length }) },
      agent,
    });
    // A claim may wait for work, as long as the API lets it.
    const patienceMs = target.includes('/worker/claim') ? limits.claimWaitMsMax + 10_000 : 15_000;
    const late = new Error(`no answer in ${patienceMs / 1_000} s to ${method} ${target}`);
    const timer = setTimeout(() => sent.destroy(late), patienceMs);
    let status = 0;
    const done = (reply: Reply): void => {
      clearTimeout(timer);
      resolve(reply);
    };
    sent.on('response', (response) => {
      status = response.statusCode ?? 0;
      const type = String(response.headers['content-type'] ?? '').replace(/;.*/, '');
      const chunks: Buffer[] = [];
      // A stream has no end; that it began is what is asked.
      if (type === 'text/event-stream') response.once('data', () => (done({ status, type, text: '' }), sent.destroy()));
      else response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => done({ status, type, text: Buffer.concat(chunks).toString() }));
      response.on('error', () => done({ status, type, text: Buffer.concat(chunks).toString() }));
    });
    sent.on('error', (error: NodeJS.ErrnoException) => {
      // A body that is refused before it was read: the server answers and hangs up, and the answer may be lost.
      if (error.code === 'EPIPE' || error.code === 'ECONNRESET')
        return done({
          status: status || 413,
          type: 'application/problem+json',
          text: '{"status":413,"code":"cut","mend":"cut"}',
        });
      clearTimeout(timer);
      reject(error);
    });
    sent.end(body ?? undefined);
  });
}

/** Everything that the server says to some bytes, until it hangs up or is silent for half a second. */
function raw(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(url.port), url.hostname);
    let text = '';
    const finish = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(500, finish);
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('close', finish);
    socket.on('error', finish);
    socket.write(Buffer.from(bytes, 'latin1'));
  });
}

function longestStallMs(child: Child): number {
  const readings = child.lines
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { delayMs: number });
  return Math.max(0, ...readings.map(({ delayMs }) => delayMs));
}

function shown({ operation, method, target, headers, body }: WireRequest): string {
  const text = body === null ? '' : Buffer.from(body).toString('latin1').slice(0, 300);
  return `${operation}: ${method} ${target.slice(0, 300)} ${JSON.stringify(headers).slice(0, 300)} ${text}`;
}
