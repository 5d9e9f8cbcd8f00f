/**
 * The handler of an endpoint: takes signed tasks of a server by HTTP and answers with what came of them. It keeps no state
 * that matters, so any number of instances may serve, and any may end at any time.
 *
 * Invariant: no code of the app runs for a request whose signature was not checked.
 */
import { SpineError } from '../../core/errors.js';
import { failureOf } from '../../core/failure-of.js';
import { failure } from '../../core/failure.js';
import { isBlobPayload } from '../../core/payload.js';
import type { Ports } from '../../core/ports.js';
import {
  pushProtocol,
  type CallAnswer,
  type PushAnswer,
  type PushedCall,
  type PushedTurn,
  type PushRequest,
} from '../../protocol/push.js';
import { isSecret, nodePorts, signatureFault, signatureHeaders } from '../../runtime/index.js';
import type { AnyApp } from '../../workflow/index.js';
import { registryOf, type AppRegistry } from '../app-registry.js';
import { beginCall } from '../call-work.js';
import type { WorkHost } from '../work.js';
import { workerLog, type WorkerLogRecord } from '../worker-log.js';
import { runTurn } from './turn.js';

/** Options of `createHandler`. */
export interface HandlerOptions {
  /** The secret of this endpoint, as `eventspine endpoints secret` prints it; several while one is being replaced. */
  readonly secret: string | readonly string[];
  /** Takes the log lines of user code. Default: none. */
  readonly log?: (record: WorkerLogRecord) => void;
  /** Clock, timers, randomness and hashing. Default: those of Node. */
  readonly ports?: Ports;
}

/** A function of the shape of `fetch`, as most hosts of functions take it. */
export type EndpointHandler = (request: Request) => Promise<Response>;

/** Part of a request's time that is kept for the way back. */
const marginShare = 0.05;
const marginMsMax = 1_000;
/** Ids of requests remembered by one instance, so that one that is sent again is not worked on again. */
const idsMax = 10_000;

/**
 * Makes the handler of an app: its capabilities and workflows are carried out when a server asks for it.
 *
 * @throws OPTIONS_INVALID where a secret is none
 */
export function createHandler(app: AnyApp, options: HandlerOptions): EndpointHandler {
  const secrets = typeof options.secret === 'string' ? [options.secret] : options.secret;
  const faults = secrets
    .filter((secret) => !isSecret(secret))
    .map(() => 'secret is not "whsec_" and 24 bytes or more as base64');
  if (secrets.length === 0) faults.push('secret is needed');
  if (faults.length > 0) throw new SpineError('OPTIONS_INVALID', { what: 'createHandler', faults });
  const registry = registryOf(app);
  const ports = options.ports ?? nodePorts;
  const seen = new Set<string>();
  return async (request) => {
    if (request.method !== 'POST')
      return refusal(405, 'METHOD_NOT_ALLOWED', 'Tasks are sent by POST.', { allow: 'POST' });
    const body = new Uint8Array(await request.arrayBuffer());
    const signed = { header: (name: string) => request.headers.get(name), body };
    const fault = await signatureFault(secrets, signed, ports.clock.now());
    if (fault !== null) {
      const { code, message, status } = new SpineError('SIGNATURE_INVALID', { fault });
      return refusal(status, code, message);
    }
    const id = request.headers.get(signatureHeaders.id) ?? '';
    if (seen.has(id)) return refusal(409, 'SIGNATURE_INVALID', 'This request was received before.');
    seen.add(id);
    const [oldest] = seen;
    if (seen.size > idsMax && oldest !== undefined) seen.delete(oldest);
    const task = parsed(body);
    if (task === null || task.protocol !== pushProtocol)
      return refusal(400, 'PROTOCOL_MISMATCH', `This endpoint speaks protocol ${pushProtocol} of push.`);
    const answer = await answerTo(task, { registry, ports, options, signal: request.signal });
    return Response.json(answer);
  };
}

interface Circumstances {
  readonly registry: AppRegistry;
  readonly ports: Ports;
  readonly options: HandlerOptions;
  readonly signal: AbortSignal;
}

function answerTo(task: PushRequest, circumstances: Circumstances): Promise<PushAnswer> {
  switch (task.kind) {
    case 'describe':
      return Promise.resolve({ outcome: 'described', manifest: circumstances.registry.manifest });
    case 'call':
      return call(task, circumstances);
    case 'activation':
      return turn(task, circumstances);
  }
}

function call(task: PushedCall, { registry, ports, options, signal }: Circumstances): Promise<CallAnswer> {
  const handler = registry.handler(task.capability);
  if (handler === undefined) {
    const error = new SpineError('CAPABILITY_UNKNOWN', { name: task.capability });
    return Promise.resolve({ outcome: 'failed', failure: { ...failureOf(error), retryable: true } });
  }
  return new Promise((resolve) => {
    const finish = (answer: CallAnswer): void => {
      cancel();
      signal.removeEventListener('abort', hangUp);
      resolve(answer);
    };
    const host: WorkHost = {
      ports,
      log: workerLog(options.log),
      submit([command]) {
        if (command?.op === 'completeTask' && !isBlobPayload(command.result))
          finish({ outcome: 'completed', result: command.result, durationMs: command.durationMs });
        else if (command?.op === 'failTask') finish({ outcome: 'failed', failure: command.failure });
        return 1;
      },
      fit: (payload) => Promise.resolve(payload),
      store: () => Promise.reject(new Error('An endpoint stores nothing.')),
      load: (payload) => Promise.reject(new SpineError('BLOB_NOT_FOUND', { blob: payload.blob })),
      giveBack: () => undefined,
    };
    const work = beginCall({ ...task, assignment: 1 }, handler, host);
    const hangUp = (): void => {
      work.stop('lease_lost');
      finish({ outcome: 'failed', failure: timedOut(task.timeoutMs) });
    };
    const cancel = ports.timers.after(lessMargin(task.timeoutMs), () => {
      work.stop('deadline');
      finish({ outcome: 'failed', failure: timedOut(task.timeoutMs) });
    });
    signal.addEventListener('abort', hangUp, { once: true });
  });
}

function turn(task: PushedTurn, { registry, ports, options, signal }: Circumstances): Promise<PushAnswer> {
  const definition = registry.definition(task.workflow, task.version);
  if (definition === undefined) {
    const known = registry.versions(task.workflow) ?? [];
    const error = new SpineError('VERSION_UNKNOWN', { name: task.workflow, version: task.version, known });
    const commands = [{ op: 'abandon', failure: { ...failureOf(error), retryable: true } }] as const;
    return Promise.resolve({ outcome: 'turn', commands });
  }
  const log = workerLog(options.log);
  return runTurn(task, {
    definition,
    ports,
    timeoutMs: lessMargin(task.timeoutMs),
    signal,
    model: (name) => registry.model?.(name) ?? null,
    log: ({ level, message, fields, tenant, run, path }) => log(level, message, { ...fields, tenant, run, path }),
  });
}

function lessMargin(timeoutMs: number): number {
  return timeoutMs - Math.min(marginMsMax, timeoutMs * marginShare);
}

function timedOut(timeoutMs: number) {
  const { code, message } = new SpineError('TASK_TIMEOUT', { deadlineMs: timeoutMs });
  return failure({ class: 'timeout', code, message, retryable: true });
}

function parsed(body: Uint8Array): PushRequest | null {
  try {
    return JSON.parse(new TextDecoder().decode(body)) as PushRequest;
  } catch {
    return null;
  }
}

function refusal(status: number, code: string, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ code, message }, { status, headers });
}
