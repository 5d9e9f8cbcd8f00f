/**
 * Sends one task to an endpoint and reads its answer: signed, within its time, to an address that was looked at, without
 * following redirects, and with an answer of which every part was looked at.
 *
 * Invariant: `busy` and `unreached` are said only where the endpoint has not begun with the task.
 */
import { request as requestHttp, Agent as HttpAgent, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as requestHttps, Agent as HttpsAgent } from 'node:https';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { SpineError } from '../../core/errors.js';
import { failure, type Failure } from '../../core/failure.js';
import { ulid } from '../../core/ids.js';
import { limits } from '../../core/limits.js';
import type { Ports } from '../../core/ports.js';
import { pushProtocol, type PushAnswer, type PushRequest } from '../../protocol/push.js';
import { workerProtocolSchema } from '../../protocol/worker-schemas.js';
import { sign } from '../../webhooks/index.js';
import type { EndpointReply, EndpointSender } from '../../worker/push/endpoint-reply.js';
import { checkedUrl, guardedLookup, type AddressRules, type Resolve } from './address-guard.js';

export interface EndpointClientOptions {
  readonly url: string;
  readonly secrets: readonly string[];
  readonly rules: AddressRules;
  readonly ports: Ports;
  readonly resolve?: Resolve;
}

/** Part of a refusal that is kept, characters. */
const refusalLengthMax = 300;

export class EndpointClient implements EndpointSender {
  readonly #options: EndpointClientOptions;
  readonly #url: URL;
  readonly #agent: HttpAgent;
  readonly #isSecure: boolean;

  /** @throws ENDPOINT_REFUSED */
  constructor(options: EndpointClientOptions) {
    this.#options = options;
    this.#url = checkedUrl(options.url, options.rules);
    this.#isSecure = this.#url.protocol === 'https:';
    const lookup = guardedLookup(options.rules, options.resolve);
    this.#agent = this.#isSecure
      ? new HttpsAgent({ keepAlive: true, lookup })
      : new HttpAgent({ keepAlive: true, lookup });
  }

  /** Sends a task, under an id of its own each time. Never rejects. */
  async send(task: PushRequest, timeoutMs: number, signal: AbortSignal): Promise<EndpointReply> {
    const { secrets, ports } = this.#options;
    const id = `msg_${ulid(ports.clock.now(), ports.random.bytes(10))}`;
    const body = Buffer.from(JSON.stringify(task));
    const signed = sign.standard({ id, atMs: ports.clock.now(), body }, secrets);
    return new Promise((resolve) => this.#send({ body, signed, timeoutMs, signal }, resolve));
  }

  close(): void {
    this.#agent.destroy();
  }

  #send(
    sending: {
      readonly body: Buffer;
      readonly signed: Record<string, string>;
      readonly timeoutMs: number;
      readonly signal: AbortSignal;
    },
    resolve: (reply: EndpointReply) => void,
  ): void {
    const { body, signed, timeoutMs, signal } = sending;
    let isConnected = false;
    let isOver = false;
    const finish = (reply: EndpointReply): void => {
      if (isOver) return;
      isOver = true;
      cancel();
      signal.removeEventListener('abort', hangUp);
      resolve(reply);
    };
    const send = this.#isSecure ? requestHttps : requestHttp;
    const request: ClientRequest = send(this.#url, {
      method: 'POST',
      agent: this.#agent,
      headers: {
        ...signed,
        'content-type': 'application/json',
        'content-length': String(body.byteLength),
        'user-agent': 'eventspine',
        accept: 'application/json',
      },
    });
    const hangUp = (): void => {
      finish(unknown('cancelled', 'ABORTED', 'The task was called off.'));
      request.destroy();
    };
    const cancel = this.#options.ports.timers.after(timeoutMs, () => {
      finish(
        isConnected
          ? unknown('timeout', 'TASK_TIMEOUT', `The endpoint did not answer within ${timeoutMs} ms.`)
          : { tag: 'unreached', reason: `no connection within ${timeoutMs} ms` },
      );
      request.destroy();
    });
    signal.addEventListener('abort', hangUp, { once: true });
    request.on('socket', (socket) => {
      // A connection that was kept is one that stands.
      if (!socket.connecting && request.reusedSocket) isConnected = true;
      socket.once(this.#isSecure ? 'secureConnect' : 'connect', () => (isConnected = true));
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code ?? error.message;
      finish(
        isConnected
          ? unknown('network', 'ENDPOINT_LOST', `The connection to the endpoint broke: ${reason}.`)
          : { tag: 'unreached', reason },
      );
    });
    request.on('response', (response) => {
      readAll(response).then(
        (bytes) => finish(replyOf(response, bytes)),
        (error: unknown) => {
          finish(unknown('network', 'ENDPOINT_LOST', error instanceof Error ? error.message : String(error)));
          request.destroy();
        },
      );
    });
    if (signal.aborted) return hangUp();
    request.end(body);
  }
}

async function readAll(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > limits.pushAnswerBytesMax) throw new Error('The answer of the endpoint is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

function replyOf(response: IncomingMessage, bytes: Buffer): EndpointReply {
  const status = response.statusCode ?? 0;
  if (status === 429 || status === 503)
    return {
      tag: 'busy',
      reason: `it answered ${status}`,
      retryAfterMs: retryAfterMs(response.headers['retry-after']),
    };
  if (status !== 200) {
    const said = bytes.toString('utf8').slice(0, refusalLengthMax);
    return unknown('dependency', `HTTP_${status}`, `The endpoint answered ${status}: ${said}`);
  }
  let answer: unknown;
  try {
    answer = JSON.parse(bytes.toString('utf8'));
  } catch {
    return unknown('dependency', 'ENDPOINT_ANSWER', 'The answer of the endpoint is not JSON.');
  }
  if (isPushAnswer(answer)) return { tag: 'answer', answer };
  return unknown('dependency', 'ENDPOINT_ANSWER', 'The answer of the endpoint is none of a task.');
}

let check: ((value: unknown) => boolean) | null = null;

/** What the published schema says of answers is what is checked of them. */
function isPushAnswer(value: unknown): value is PushAnswer {
  if (check === null) {
    const ajv = new Ajv2020({ strict: false });
    ajv.addSchema(workerProtocolSchema);
    check = ajv.compile({ $ref: `${workerProtocolSchema.$id}#/$defs/PushAnswer` });
  }
  return check(value);
}

/** Seconds; a date needs a clock that both agree on. */
function retryAfterMs(header: string | undefined): number | null {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : null;
}

function unknown(failureClass: Failure['class'], code: string, message: string): EndpointReply {
  return { tag: 'failed', failure: failure({ class: failureClass, code, message, retryable: true }) };
}

/** What an endpoint says of itself. @throws ENDPOINT_REFUSED, ENDPOINT_FAILED */
export async function describeEndpoint(
  client: EndpointClient,
  url: string,
): Promise<Extract<PushAnswer, { readonly outcome: 'described' }>['manifest']> {
  const reply = await client.send(
    { protocol: pushProtocol, kind: 'describe' },
    limits.handshakeMs,
    new AbortController().signal,
  );
  if (reply.tag === 'answer' && reply.answer.outcome === 'described') return reply.answer.manifest;
  const reason =
    reply.tag === 'answer'
      ? 'it answered another question'
      : reply.tag === 'failed'
        ? reply.failure.message
        : reply.reason;
  throw new SpineError('ENDPOINT_FAILED', { url, reason });
}
