/** Handlers of Fastify, which has parsed the body before them and sends what is given to the reply. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { callOld, type Exchange, type HandlerCall, textsOf } from '../exchange.js';
import { goneSignal, nodeBody, nodeHead, watchResponse } from './node.js';

/** Of a request of Fastify, what is used. */
export interface FastifyRequest {
  readonly raw: IncomingMessage;
  readonly originalUrl?: string;
  readonly params: unknown;
  readonly body: unknown;
}

/** Of a reply of Fastify, what is used. */
export interface FastifyReply {
  readonly raw: ServerResponse;
  readonly sent: boolean;
  code(status: number): unknown;
  header(name: string, value: string): unknown;
  send(payload?: unknown): unknown;
}

/** True for the arguments of a handler of Fastify. */
export function isFastifyCall(args: readonly unknown[]): args is readonly [FastifyRequest, FastifyReply] {
  const [request, reply] = args as readonly [Partial<FastifyRequest> | undefined, Partial<FastifyReply> | undefined];
  return typeof request?.raw?.on === 'function' && typeof reply?.raw?.writeHead === 'function';
}

/** A request of Fastify. */
export function fastifyExchange(call: HandlerCall, request: FastifyRequest, reply: FastifyReply): Exchange {
  /** A handler that gives nothing has sent its answer or will: Fastify waits for that where it is given the reply. */
  const orReply = (result: unknown): unknown =>
    result instanceof Promise ? result.then(orReply) : result === undefined ? reply : result;
  return {
    head: nodeHead(request.raw, request.originalUrl ?? request.raw.url, textsOf(request.params), request),
    signal: goneSignal(reply.raw),
    readBody: (bytesMax) => nodeBody(request.raw, request.body, bytesMax),
    old: () => orReply(callOld(call)),
    watchedOld(bytesMax) {
      const answer = watchResponse(reply.raw, bytesMax);
      return { result: orReply(callOld(call)), answer };
    },
    async reply(answer) {
      reply.code(answer.status);
      for (const [name, value] of answer.headers) reply.header(name, value);
      reply.send(Buffer.from(await answer.arrayBuffer()));
      return reply;
    },
    fail(error) {
      throw error;
    },
  };
}
