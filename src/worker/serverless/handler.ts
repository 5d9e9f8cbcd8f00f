/**
 * The handler of an endpoint: takes signed tasks of a server by HTTP and answers with what came of them. It keeps no state
 * that matters, so any number of instances may serve, and any may end at any time.
 *
 * Invariant: no code of the app runs for a request whose signature was not checked.
 */
import { SpineError } from '../../core/errors.js';
import type { Ports } from '../../core/ports.js';
import { pushProtocol, type PushRequest } from '../../protocol/push.js';
import { nodePorts } from '../../runtime/index.js';
import { isSecret, standardHeaders, webhookVerdict } from '../../webhooks/index.js';
import type { AnyApp } from '../../workflow/index.js';
import { registryOf } from '../app-registry.js';
import type { WorkerLogRecord } from '../worker-log.js';
import { carryOut } from './carry-out.js';
import { ReceivedIds } from './received-ids.js';

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
  const received = new ReceivedIds();
  return async (request) => {
    if (request.method !== 'POST')
      return refusal(405, 'METHOD_NOT_ALLOWED', 'Tasks are sent by POST.', { allow: 'POST' });
    const body = new Uint8Array(await request.arrayBuffer());
    const signed = { headers: request.headers, body };
    const verdict = webhookVerdict({ kind: 'standard' }, secrets, signed, ports.clock.now());
    if (verdict.tag === 'refused') {
      const { code, message, status } = new SpineError('SIGNATURE_INVALID', { fault: verdict.fault });
      return refusal(status, code, message);
    }
    const id = request.headers.get(standardHeaders.id) ?? '';
    if (!received.isNew(id)) return refusal(409, 'SIGNATURE_INVALID', 'This request was received before.');
    const task = parsed(body);
    if (task === null || task.protocol !== pushProtocol)
      return refusal(400, 'PROTOCOL_MISMATCH', `This endpoint speaks protocol ${pushProtocol} of push.`);
    const answer = await carryOut(task, { registry, ports, log: options.log, signal: request.signal });
    return Response.json(answer);
  };
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
