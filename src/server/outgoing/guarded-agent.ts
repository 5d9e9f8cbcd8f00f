/**
 * Agents of `node:http` whose connections go nowhere but where the address guard lets them. A lookup hook is not asked for
 * addresses that are written as such, so both are looked at where the connection is made.
 *
 * Invariant: no socket is opened before the address that it goes to was looked at.
 */
import { Agent as HttpAgent, type AgentOptions, type ClientRequestArgs } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { limits } from '../../core/limits.js';
import { guardedLookup, isAllowedAddress, refusedAddress, type AddressRules, type Resolve } from './address-guard.js';

type OnSocket = (error: Error | null, stream: Duplex) => void;

/** An agent for requests to hosts that others have named. Close it with `destroy`. */
export function guardedAgent(isSecure: boolean, rules: AddressRules, resolve?: Resolve): HttpAgent {
  const options: AgentOptions = {
    keepAlive: true,
    // What nobody uses is closed before most servers would do so in the middle of a request.
    timeout: limits.outgoingIdleMs,
    maxFreeSockets: limits.outgoingIdleSocketsMax,
    lookup: guardedLookup(rules, resolve),
  };
  return isSecure ? new GuardedHttpsAgent(options, rules) : new GuardedHttpAgent(options, rules);
}

class GuardedHttpAgent extends HttpAgent {
  readonly #rules: AddressRules;

  constructor(options: AgentOptions, rules: AddressRules) {
    super(options);
    this.#rules = rules;
  }

  override createConnection(options: ClientRequestArgs, done?: OnSocket): Duplex | null | undefined {
    return isRefused(options, this.#rules, done) ? null : super.createConnection(options, done);
  }
}

class GuardedHttpsAgent extends HttpsAgent {
  readonly #rules: AddressRules;

  constructor(options: AgentOptions, rules: AddressRules) {
    super(options);
    this.#rules = rules;
  }

  override createConnection(options: RequestOptions, done?: OnSocket): Duplex | null | undefined {
    return isRefused(options, this.#rules, done) ? null : super.createConnection(options, done);
  }
}

/** Whether the connection must not be made; the request is told so. Names are left to the lookup. */
function isRefused(options: ClientRequestArgs, rules: AddressRules, done: OnSocket | undefined): boolean {
  const host = options.host ?? 'localhost';
  const isSocketFile = typeof options.socketPath === 'string';
  if (!isSocketFile && (isIP(host) === 0 || isAllowedAddress(host, rules))) return false;
  // Without a stream; the type does not know of failures.
  (done as ((error: Error) => void) | undefined)?.(refusedAddress(isSocketFile ? 'a socket file' : host));
  return true;
}
