/**
 * A call of `eventspine.deliver` in the hands of this server: reads what is to be delivered, does one attempt, and says what came
 * of it, with the pause before the next one.
 *
 * Invariant: a call that is not given back ends in a command, and only a message that was taken ends in a result.
 */
import { payloadOfJson } from '../../core/codec.js';
import { errorCatalogue, SpineError } from '../../core/errors.js';
import { failure, type Failure } from '../../core/failure.js';
import { limits } from '../../core/limits.js';
import { isBlobPayload } from '../../core/payload.js';
import type { Declarations } from '../../core/redaction/declared.js';
import { everyTag, type Clearance } from '../../core/redaction/tags.js';
import { pauseAfter, type DeliveryRetry } from '../../core/webhooks/endpoint.js';
import type { DeliveryOrder } from '../../core/webhooks/delivery-order.js';
import type { Engine } from '../../engine/api.js';
import type { CallAssignment, Submission, SubmissionResult } from '../../protocol/worker.js';
import type { Work, WorkHost } from '../../worker/work.js';
import { shown } from '../outgoing/address-guard.js';
import type { Attempted, Deliverer } from './deliverer.js';
import { messageBody } from './message-body.js';
import type { WebhookKeys } from './signing.js';

export interface DeliveryWorkOptions {
  readonly engine: Pick<Engine, 'readHistory' | 'webhooks'>;
  readonly deliverer: Deliverer;
  /** What the apps in force declare of values. */
  readonly declared: () => Declarations;
  /** Draws the part of a pause that is left to chance, in [0, 1). */
  readonly random: () => number;
}

/** Where a message goes, and how often. */
interface Route {
  readonly name: string | null;
  readonly url: string;
  readonly keys: WebhookKeys;
  readonly timeoutMs: number;
  readonly retry: DeliveryRetry;
  /** What the receiver is shown of tagged fields. */
  readonly cleared: Clearance;
}

/** Of messages to addresses that starts are given. */
const usualRetry: DeliveryRetry = {
  attempts: limits.webhookAttemptsDefault,
  minMs: limits.webhookPauseMsMin,
  maxMs: limits.webhookPauseMsMax,
};

export class DeliveryWork implements Work {
  readonly kind = 'call';
  readonly seen = 0;
  readonly waiting = false;
  readonly idle: Promise<void>;
  readonly #assignment: CallAssignment;
  readonly #host: WorkHost;
  readonly #options: DeliveryWorkOptions;
  readonly #abort = new AbortController();
  #dead = false;

  constructor(assignment: CallAssignment, host: WorkHost, options: DeliveryWorkOptions) {
    this.#assignment = assignment;
    this.#host = host;
    this.#options = options;
    this.idle = Promise.resolve()
      .then(() => this.#work())
      .catch((error: unknown) => this.#fault(error));
  }

  get dead(): boolean {
    return this.#dead;
  }

  deliver(): void {
    // The events of its run are of no concern to a call.
  }

  settle(_submission: Submission, result: SubmissionResult): void {
    if (!result.ok) this.#dead = true;
  }

  stop(): void {
    this.#dead = true;
    this.#abort.abort();
  }

  async #work(): Promise<void> {
    const { tenant, attempt, input } = this.#assignment;
    const order = await this.#order();
    if (order === null) return this.#fail(terminal('internal', 'WEBHOOK_NOTHING', 'The run has nothing to deliver.'));
    const route = await this.#route(tenant, order);
    if ('failure' in route) return this.#fail(route.failure);
    const data = isBlobPayload(input) ? await this.#host.load(input) : input;
    const body = messageBody(order, data, this.#options.declared(), route.cleared);
    if (body.byteLength > limits.webhookBodyBytesMax)
      return this.#fail(
        terminal('payload_too_large', 'WEBHOOK_TOO_LARGE', `The message has ${body.byteLength} bytes.`),
      );
    if (this.#dead) return;
    const { clock } = this.#host.ports;
    const beganAtMs = clock.monotonicMs();
    const attempted = await this.#options.deliverer.send({
      ...route,
      id: order.id,
      body,
      attempt,
      signal: this.#abort.signal,
    });
    if (this.#dead) return;
    const ms = Math.round(clock.monotonicMs() - beganAtMs);
    if (attempted.tag === 'gone' && route.name !== null) await this.#shut(tenant, route.name, attempted.status);
    if (attempted.tag === 'delivered')
      this.#host.submit([
        { op: 'completeTask', result: payloadOfJson({ status: attempted.status, attempt, ms }), durationMs: ms },
      ]);
    else this.#fail(failureOf(attempted, route, attempt, this.#options.random()));
  }

  /** Read anew by each attempt: it is the first event of the run. */
  async #order(): Promise<DeliveryOrder | null> {
    const { tenant, run } = this.#assignment;
    const [first] = (await this.#options.engine.readHistory(tenant, run, { after: 0, limit: 1 })) ?? [];
    const delivery = (first?.data as { readonly delivery?: DeliveryOrder } | undefined)?.delivery;
    return delivery ?? null;
  }

  /** As the endpoint is now: it may have moved since the last attempt. */
  async #route(tenant: string, { to }: DeliveryOrder): Promise<Route | { readonly failure: Failure }> {
    const { engine, deliverer } = this.#options;
    if ('url' in to) {
      const keys = await deliverer.notifyKeys(tenant);
      return {
        name: null,
        url: to.url,
        keys,
        timeoutMs: limits.webhookTimeoutMsDefault,
        retry: usualRetry,
        cleared: new Set(),
      };
    }
    const entry = await engine.webhooks.find(tenant, to.endpoint);
    if (entry === null) return { failure: refusedBy(new SpineError('WEBHOOK_NOT_FOUND', { name: to.endpoint })) };
    if (entry.disabled !== null)
      return { failure: refusedBy(new SpineError('WEBHOOK_DISABLED', { name: to.endpoint })) };
    const { url, timeoutMs, retry, clearances = [] } = entry.spec;
    const cleared = clearances.includes(everyTag) ? 'everything' : new Set(clearances);
    return { name: to.endpoint, url, keys: await deliverer.keys(tenant, entry), timeoutMs, retry, cleared };
  }

  /** It says that it is gone for good: nothing more is begun, and somebody is told. */
  async #shut(tenant: string, name: string, status: number): Promise<void> {
    const origin = { tenant, actor: `webhook:${name}`, traceparent: null, correlation: null };
    await this.#options.engine.webhooks.disable(origin, name, `the receiver answered ${status}`);
  }

  #fail(cause: Failure): void {
    if (!this.#dead) this.#host.submit([{ op: 'failTask', failure: cause }]);
  }

  /** What went wrong here says nothing of the receiver: the attempt is made again soon. */
  #fault(error: unknown): void {
    this.#host.log('error', 'a delivery failed here', { error: String(error) });
    const message = error instanceof Error ? error.message : String(error);
    this.#fail(
      failure({
        class: 'internal',
        code: 'INTERNAL',
        message,
        retryable: true,
        retryAfterMs: limits.webhookPauseMsMin,
      }),
    );
  }
}

function failureOf(
  attempted: Exclude<Attempted, { tag: 'delivered' }>,
  { url, retry }: Route,
  attempt: number,
  random: number,
): Failure {
  switch (attempted.tag) {
    case 'gone':
      return terminal('permission', 'HTTP_410', 'The receiver is gone for good: it answered 410.');
    case 'refused':
      return refusedBy(new SpineError('ENDPOINT_REFUSED', { url: shown(url), reason: attempted.reason }));
    case 'aborted':
      return failure({ class: 'cancelled', code: 'ABORTED', message: 'The attempt was called off.', retryable: true });
    case 'failed': {
      const attempts = attempted.isRefusal
        ? Math.min(retry.attempts, limits.webhookRefusedAttemptsMax)
        : retry.attempts;
      const pauseMs = pauseAfter({ ...retry, attempts }, attempt, attempted.retryAfterMs, random);
      const { class: kind, code, message } = attempted;
      return pauseMs === null
        ? terminal(kind, code, message)
        : failure({ class: kind, code, message, retryable: true, retryAfterMs: pauseMs });
    }
  }
}

function refusedBy({ code, message }: SpineError): Failure {
  return terminal(errorCatalogue[code].kind === 'notFound' ? 'invalid_request' : 'permission', code, message);
}

function terminal(kind: Failure['class'], code: string, message: string): Failure {
  return failure({ class: kind, code, message, retryable: false });
}
