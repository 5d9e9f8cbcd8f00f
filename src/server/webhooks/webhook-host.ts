/**
 * Delivers webhooks: a worker of this server that serves `eventspine.deliver`, once anybody in the installation has an endpoint
 * or asks to be notified. Any number of servers do it side by side; leases say who has which message.
 *
 * Invariant: a server that nobody asks for webhooks runs no worker for them, and looks now and then whether somebody does.
 */
import { hasCode } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { limits } from '../../core/limits.js';
import type { CancelTimer, Ports } from '../../core/ports.js';
import { Declarations } from '../../core/redaction/declared.js';
import { webhookManifest } from '../../core/webhooks/delivery-order.js';
import type { Engine, WebhookEntry } from '../../engine/api.js';
import type { WebhookPing } from '../../protocol/webhook-views.js';
import { nodePorts } from '../../runtime/index.js';
import type { Worker } from '../../worker/index.js';
import type { ServerLogEntry } from '../options.js';
import type { AddressRules, Resolve } from '../outgoing/address-guard.js';
import { Deliverer } from './deliverer.js';

export interface WebhookHostOptions {
  readonly engine: Engine;
  readonly rules: AddressRules;
  readonly log: (entry: ServerLogEntry) => void;
  /** False = it answers for endpoints and delivers nothing. Default true. */
  readonly delivers?: boolean;
  readonly ports?: Ports;
  /** How names are resolved; for tests. */
  readonly resolve?: Resolve;
}

/** Pause between two looks whether anybody wants webhooks. */
const lookEveryMs = 5_000;
/** How long messages under way are waited for when the server leaves. */
const drainMs = 8_000;

export class WebhookHost {
  readonly deliverer: Deliverer;
  readonly #options: WebhookHostOptions;
  readonly #ports: Ports;
  #declared = new Declarations([]);
  #worker: Worker | null = null;
  #cancelLook: CancelTimer = () => {};
  #leaveUse: () => void = () => {};
  #looking: Promise<void> = Promise.resolve();
  #started = false;
  #closed: Promise<void> | null = null;

  constructor(options: WebhookHostOptions) {
    const { engine, rules, resolve } = options;
    this.#options = options;
    this.#ports = options.ports ?? nodePorts;
    let root: Promise<Uint8Array> | null = null;
    this.deliverer = new Deliverer({
      rules,
      ports: this.#ports,
      root: () => {
        root ??= engine.secret('webhooks').catch((error: unknown) => {
          root = null;
          throw error;
        });
        return root;
      },
      ...(resolve === undefined ? {} : { resolve }),
    });
  }

  /** Begins to deliver as soon as anybody wants it. Idempotent. */
  start(): void {
    if (this.#started || this.#closed !== null || this.#options.delivers === false) return;
    this.#started = true;
    this.#leaveUse = this.#options.engine.webhooks.onUse(() => this.#lookSoon());
    this.#lookSoon();
  }

  #lookSoon(): void {
    if (!this.#started || this.#closed !== null || this.#worker !== null) return;
    this.#cancelLook();
    this.#looking = this.#looking
      .then(() => this.#look())
      .catch((error: unknown) => {
        if (!hasCode(error, 'STORE_CLOSED')) return this.#fault('Webhooks cannot be delivered.', error);
        // The engine was stopped before its server.
        this.#closed ??= Promise.resolve();
      })
      .then(() => {
        if (this.#worker !== null || this.#closed !== null) return;
        this.#cancelLook();
        this.#cancelLook = this.#ports.timers.after(lookEveryMs, () => this.#lookSoon());
      });
  }

  /** Finishes what is under way, for a while, and leaves the rest to others. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Sends a message that says nothing, now, whatever the endpoint is told of otherwise. */
  async ping(tenant: string, entry: WebhookEntry): Promise<WebhookPing> {
    const { clock } = this.#ports;
    const id = `msg_${newId('event', this.#ports).slice(4)}`;
    const timestamp = new Date(clock.now()).toISOString();
    const body = Buffer.from(JSON.stringify({ type: 'webhook.ping', timestamp, data: { endpoint: entry.spec.name } }));
    const beganAtMs = clock.monotonicMs();
    const { url, timeoutMs } = entry.spec;
    const keys = await this.deliverer.keys(tenant, entry);
    const attempted = await this.deliverer.send({ url, keys, id, body, timeoutMs, attempt: 1 });
    const ms = Math.round(clock.monotonicMs() - beganAtMs);
    switch (attempted.tag) {
      case 'delivered':
        return { id, delivered: true, status: attempted.status, reason: null, ms };
      case 'gone':
        return { id, delivered: false, status: attempted.status, reason: 'The receiver is gone for good.', ms };
      case 'refused':
        return { id, delivered: false, status: null, reason: attempted.reason, ms };
      case 'failed':
        return { id, delivered: false, status: statusOf(attempted.code), reason: attempted.message, ms };
      case 'aborted':
        return { id, delivered: false, status: null, reason: 'The attempt was called off.', ms };
    }
  }

  async #look(): Promise<void> {
    const { engine } = this.#options;
    if (this.#worker !== null || this.#closed !== null || !(await engine.webhooks.isInUse())) return;
    // What does the work of workers is of no use to a server that delivers nothing, and is not loaded by it.
    const [{ createInProcessTransport }, { workerOf }, { DeliveryWork }] = await Promise.all([
      import('../../worker/index.js'),
      import('../../worker/worker.js'),
      import('./delivery-work.js'),
    ]);
    const { deliverer } = this;
    const { random } = this.#ports;
    const worker = workerOf({
      registry: {
        app: webhookManifest.app,
        manifest: webhookManifest,
        versions: () => undefined,
        definition: () => undefined,
        handler: () => undefined,
      },
      offer: { workflows: [], capabilities: null },
      transport: createInProcessTransport(engine),
      begin: () => {
        throw new Error('Invariant broken: a body was begun where webhooks are delivered');
      },
      beginWork: (assignment, host) => {
        if (assignment.kind !== 'call') throw new Error('Invariant broken: a body was assigned for a delivery');
        return new DeliveryWork(assignment, host, {
          engine,
          deliverer,
          declared: () => this.#declarations(),
          random: () => random.next(),
        });
      },
      ports: this.#ports,
      name: 'webhooks',
      slots: limits.webhookSlots,
      parkAfterMs: 0,
      drainGraceMs: drainMs,
      log: ({ level, message, fields }) => {
        if (level === 'error') this.#fault(message, fields);
      },
      host: 'webhooks',
      pid: process.pid,
    });
    this.#worker = worker;
    void worker.start().catch((error: unknown) => this.#fault('Webhooks cannot be delivered.', error));
    void worker.stopped.then(() => {
      if (this.#worker !== worker) return;
      // Its session is over: another begins.
      this.#worker = null;
      this.#lookSoon();
    });
  }

  #declarations(): Declarations {
    const manifests = this.#options.engine.definitions();
    if (!this.#declared.isOf(manifests)) this.#declared = new Declarations(manifests);
    return this.#declared;
  }

  async #close(): Promise<void> {
    this.#leaveUse();
    this.#cancelLook();
    await this.#looking;
    await this.#worker?.drain();
    this.deliverer.close();
  }

  #fault(message: string, error: unknown): void {
    this.#options.log({ level: 'error', message, reference: 'webhooks', error });
  }
}

function statusOf(code: string): number | null {
  return code.startsWith('HTTP_') ? Number(code.slice('HTTP_'.length)) : null;
}
