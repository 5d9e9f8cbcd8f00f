/**
 * Sends one task to an endpoint and reads its answer: signed, within its time, to an address that was looked at, without
 * following redirects, and with an answer of which every part was looked at.
 *
 * Invariant: `busy` and `unreached` are said only where the endpoint has not begun with the task.
 */
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
import { checkedUrl, type AddressRules, type Resolve } from '../outgoing/address-guard.js';
import { OutgoingHttp, retryAfterMs, type OutgoingReply } from '../outgoing/outgoing-http.js';

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
  readonly #http: OutgoingHttp;

  /** @throws ENDPOINT_REFUSED */
  constructor(options: EndpointClientOptions) {
    const { url, rules, ports, resolve } = options;
    this.#options = options;
    this.#url = checkedUrl(url, rules);
    this.#http = new OutgoingHttp({ rules, timers: ports.timers, ...(resolve === undefined ? {} : { resolve }) });
  }

  /** Sends a task, under an id of its own each time. Never rejects. */
  async send(task: PushRequest, timeoutMs: number, signal: AbortSignal): Promise<EndpointReply> {
    const { secrets, ports } = this.#options;
    const id = `msg_${ulid(ports.clock.now(), ports.random.bytes(10))}`;
    const body = Buffer.from(JSON.stringify(task));
    const signed = sign.standard({ id, atMs: ports.clock.now(), body }, secrets);
    const reply = await this.#http.send({
      url: this.#url,
      method: 'POST',
      headers: { ...signed, 'content-type': 'application/json', accept: 'application/json' },
      body,
      timeoutMs,
      answerBytesMax: limits.pushAnswerBytesMax,
      signal,
    });
    return replyOf(reply, ports.clock.now());
  }

  close(): void {
    this.#http.close();
  }
}

function replyOf(reply: OutgoingReply, nowMs: number): EndpointReply {
  switch (reply.tag) {
    case 'aborted':
      return unknown('cancelled', 'ABORTED', 'The task was called off.');
    case 'refused':
    case 'unreached':
      return { tag: 'unreached', reason: reply.reason };
    case 'lost':
      return reply.isTimeout
        ? unknown('timeout', 'TASK_TIMEOUT', `The endpoint did not answer in time: ${reply.reason}.`)
        : unknown('network', 'ENDPOINT_LOST', `The connection to the endpoint broke: ${reply.reason}.`);
    case 'answer':
      return replyOfAnswer(reply, nowMs);
  }
}

function replyOfAnswer(
  { status, headers, body, isCut }: Extract<OutgoingReply, { tag: 'answer' }>,
  nowMs: number,
): EndpointReply {
  if (status === 429 || status === 503)
    return {
      tag: 'busy',
      reason: `it answered ${status}`,
      retryAfterMs: retryAfterMs(headers['retry-after'], nowMs),
    };
  if (isCut) return unknown('network', 'ENDPOINT_LOST', 'The answer of the endpoint is too large.');
  if (status !== 200) {
    const said = body.toString('utf8').slice(0, refusalLengthMax);
    return unknown('dependency', `HTTP_${status}`, `The endpoint answered ${status}: ${said}`);
  }
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString('utf8'));
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
