/**
 * The client's way to an engine in the same process: starts go straight to the engine, everything else takes the
 * handlers of the HTTP server by a function call. Inputs keep what JSON would lose (dates, bytes) on their way in.
 * Invariant: answers have the shape that the network would give, so one surface serves both.
 */
import {
  type CloudEvent,
  createTransport,
  type Gateway,
  httpGateway,
  RemoteError,
  type StartItem,
  type StartItemAnswer,
  systemPace,
  type WaitedAnswer,
} from '../client/index.js';
import { encodeValue } from '../core/codec.js';
import { isSpineError, SpineError } from '../core/errors.js';
import { everyTag } from '../core/redaction/tags.js';
import type { Engine, Origin, StartOutcome, StartRequest } from '../engine/index.js';
import { decodeHttpEvent, structuredType } from '../protocol/cloudevents.js';
import type { Problem, PublishItemAnswer, RunView } from '../protocol/http.js';
import { problemOf } from '../protocol/problem.js';
import {
  createServer,
  publishedAnswer,
  publishRequestOf,
  type ReadTokenOptions,
  type SpineServer,
  type WebhooksOptions,
} from '../server/index.js';
import { keepAlive } from './keep-alive.js';

/** What a local gateway is made of. */
export interface LocalGatewayOptions {
  /** The engine, opened on first use. */
  readonly engine: () => Promise<Engine>;
  /** The engine where it is open already, so that nobody has to wait for it; else null. */
  readonly ready: () => Engine | null;
  readonly tenant: string;
  /** For whom it is used; stands in the events. */
  readonly user: string;
  /** As of `ServerOptions`, so that tokens made here are taken by the server. */
  readonly readTokens?: ReadTokenOptions;
  /** Path under which links in answers begin. */
  readonly basePath: string;
  /** As of `ServerOptions`; its server sends webhooks where no other of this process does. */
  readonly webhooks?: WebhooksOptions;
  /** Hears of the server that is made on first use, which is the owner's to close. */
  readonly made: (server: SpineServer) => void;
}

/** A name that the server's own check of the host lets through; nothing ever connects to it. */
const localUrl = 'http://localhost';

/** Makes a gateway. Opens nothing. */
export function localGateway(options: LocalGatewayOptions): Gateway {
  const { tenant, user, basePath, readTokens } = options;
  const origin: Origin = { tenant, actor: `client:${user}`, traceparent: null, correlation: null };
  let server: SpineServer | null = null;

  /** A server that listens to nobody: it knows who asks, because only this process can. */
  async function localFetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const engine = await options.engine();
    const isFirst = server === null;
    server ??= createServer({
      engine,
      basePath,
      // The host's own code: it has the values in its hands in any case.
      authorize: () => ({ tenant, user, roles: ['operator', 'worker', 'admin'], clearances: [everyTag] }),
      // The code of this process crosses no edge.
      audit: false,
      ...(readTokens === undefined ? {} : { readTokens }),
      ...(options.webhooks === undefined ? {} : { webhooks: options.webhooks }),
    });
    if (isFirst) options.made(server);
    return await abortable(server.fetch(new Request(input, init)), init?.signal ?? null);
  }

  const transport = createTransport({
    url: localUrl + basePath,
    fetch: localFetch,
    // Nothing gets lost on the way, so there is nothing to be sure of by asking again.
    retry: { attempts: 1, minMs: 0, maxMs: 0 },
    timeoutMs: 60_000,
    pace: systemPace,
  });

  const overHttp = httpGateway(transport);

  async function startRuns(
    workflow: string,
    items: readonly StartItem[],
    _signal?: AbortSignal,
    tx?: unknown,
  ): Promise<readonly StartItemAnswer[]> {
    if (tx !== undefined) return startWithin(tx, workflow, items);
    // Where a run is to be told of, the server looks at the address.
    if (items.some(({ notify }) => notify !== undefined)) return overHttp.startRuns(workflow, items);
    const engine = options.ready() ?? (await options.engine());
    const requests: StartRequest[] = [];
    /** Items that cannot be handed to the engine, by index. Their neighbours can. */
    const refused = new Map<number, StartItemAnswer>();
    for (const [i, item] of items.entries()) {
      try {
        requests.push(startRequest(workflow, item));
      } catch (error) {
        refused.set(i, refusal(error instanceof Error ? error : new Error(String(error))));
      }
    }
    const outcomes = requests.length === 0 ? [] : await keepAlive(engine.startRuns(origin, requests));
    const answers: StartItemAnswer[] = [];
    let next = 0;
    for (let i = 0; i < items.length; i++) {
      const fault = refused.get(i);
      if (fault !== undefined) {
        answers.push(fault);
        continue;
      }
      const outcome = outcomes[next++];
      if (outcome === undefined) throw new Error('Invariant broken: the engine gave fewer outcomes than requests');
      answers.push(outcome.tag === 'repeated' ? await repeatedAnswer(engine, outcome.run) : freshAnswer(outcome));
    }
    return answers;
  }

  /** One after the other, as everything on one connection. Where a database has thrown, its transaction is lost. */
  async function startWithin(
    tx: unknown,
    workflow: string,
    items: readonly StartItem[],
  ): Promise<readonly StartItemAnswer[]> {
    const engine = await options.engine();
    const answers: StartItemAnswer[] = [];
    for (const item of items) {
      const request = attempt(() => startRequest(workflow, item));
      const outcome = request instanceof Error ? refused(request) : await engine.startWithin(tx, origin, request);
      if (outcome.tag === 'error') answers.push(refusalWithin(outcome.error));
      else {
        const { run, tag } = outcome;
        answers.push({ id: run, state: 'queued', repeated: tag === 'repeated', links: linksOf(basePath, run) });
      }
    }
    return answers;
  }

  async function publishWithin(
    tx: unknown,
    topic: string,
    events: readonly CloudEvent[],
  ): Promise<readonly PublishItemAnswer[]> {
    const engine = await options.engine();
    const answers: PublishItemAnswer[] = [];
    for (const event of events) {
      const request = attempt(() => publishRequestOf(topic, decodedEvent(event)));
      const outcome = request instanceof Error ? refused(request) : await engine.publishWithin(tx, origin, request);
      answers.push(outcome.tag === 'error' ? refusalWithin(outcome.error) : publishedAnswer(topic, outcome));
    }
    return answers;
  }

  function freshAnswer(outcome: Exclude<StartOutcome, { tag: 'repeated' }>): StartItemAnswer {
    if (outcome.tag === 'error') return refusal(outcome.error);
    const { run } = outcome;
    return { id: run, state: 'queued', repeated: false, links: linksOf(basePath, run) };
  }

  async function repeatedAnswer(engine: Engine, run: string): Promise<StartItemAnswer> {
    const state = await engine.waitForEnd(tenant, run, 0);
    if (state === null) return refusal(new SpineError('RUN_NOT_FOUND', { run }));
    return { id: run, state, repeated: true, links: linksOf(basePath, run) };
  }

  return {
    transport,
    startRuns,

    async startAndWait(workflow, item, waitMs, signal): Promise<WaitedAnswer> {
      const [answer] = await startRuns(workflow, [item]);
      if (answer === undefined) throw new Error('Invariant broken: one request has one answer');
      if ('error' in answer) throw new RemoteError(answer.error);
      const engine = await options.engine();
      await keepAlive(abortable(engine.waitForEnd(tenant, answer.id, waitMs), signal ?? null));
      return { tag: 'pending', answer };
    },

    // An event is a CloudEvent, which is JSON whichever way it comes: no reason for a second way in.
    publish: (topic, events, signal, tx) =>
      tx === undefined ? overHttp.publish(topic, events, signal) : publishWithin(tx, topic, events),
  };
}

function refusal(error: Error): { readonly error: Problem } {
  return { error: problemOf(error, 'embedded') };
}

function refused(error: Error): { readonly tag: 'error'; readonly error: Error } {
  return { tag: 'error', error };
}

/** What the database has thrown is the caller's to look at, who may have to begin the transaction anew (40001). */
function refusalWithin(error: Error): { readonly error: Problem } {
  if (!isSpineError(error)) throw error;
  return refusal(error);
}

function attempt<T>(make: () => T): T | Error {
  try {
    return make();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Looked at as strictly as one that came over the network. */
function decodedEvent(event: CloudEvent): ReturnType<typeof decodeHttpEvent> {
  const body = new TextEncoder().encode(JSON.stringify(event));
  return decodeHttpEvent({ headers: { 'content-type': structuredType }, body });
}

/** @throws OPTIONS_INVALID */
function startRequest(workflow: string, item: StartItem): StartRequest {
  if (item.notify !== undefined)
    throw new SpineError('OPTIONS_INVALID', { what: 'start', faults: ['notify cannot be given with tx'] });
  const { idempotencyKey, labels, priority, delayMs, startAt } = item;
  const input = encodeValue(item.input ?? null);
  const isPlain = idempotencyKey === undefined && labels === undefined && priority === undefined;
  if (isPlain && delayMs === undefined && startAt === undefined) return { workflow, input };
  return {
    workflow,
    input,
    // No answer gets lost within a process, so what has no key of its own needs none.
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(labels === undefined ? {} : { labels }),
    ...(priority === undefined ? {} : { priority }),
    ...(delayMs === undefined ? {} : { delayMs }),
    ...(startAt === undefined ? {} : { startAt: Date.parse(startAt) }),
  };
}

function linksOf(basePath: string, run: string): RunView['links'] {
  const self = `${basePath}/v1/runs/${run}`;
  return { self, history: `${self}/history`, result: `${self}/result`, stream: `${self}/stream` };
}

/** Lets go of a promise when the signal says so. What it stands for goes on; nobody waits for it any more. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | null): Promise<T> {
  if (signal === null) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
