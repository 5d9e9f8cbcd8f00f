/**
 * Serves the endpoints of an installation: for each a worker session of this server whose work is done by requests to it.
 * Of several servers one has the duty for an endpoint; what another still does under an old session is fenced like the work
 * of any worker.
 *
 * Invariant: at most one worker for an endpoint here, of what is registered now; none where another has the duty.
 */
import { SpineError } from '../../core/errors.js';
import type { EndpointEntry, EndpointTarget, Manifest } from '../../core/manifest.js';
import type { CancelTimer, Ports } from '../../core/ports.js';
import type { Engine } from '../../engine/api.js';
import type { EndpointView } from '../../protocol/http.js';
import { nodePorts } from '../../runtime/index.js';
import { endpointSecret } from '../../webhooks/index.js';
import type { Worker } from '../../worker/index.js';
import { EndpointHealth } from '../../worker/push/endpoint-health.js';
import type { ServerLogEntry } from '../options.js';
import { shown, type AddressRules, type Resolve } from '../outgoing/address-guard.js';
import { describeEndpoint, EndpointClient } from './endpoint-client.js';

export interface PushHostOptions {
  readonly engine: Engine;
  /** Secrets of the installation, newest first; empty = tasks are not pushed. */
  readonly secrets: readonly string[];
  readonly rules: AddressRules;
  readonly log: (entry: ServerLogEntry) => void;
  readonly ports?: Ports;
  /** How names are resolved; for tests. */
  readonly resolve?: Resolve;
}

/** Pause between two looks at what is registered, ms; a duty outlives some of them. */
const lookEveryMs = 1_000;
const dutyMs = 6_000;
/** How long requests under way are waited for when an endpoint is left. */
const drainMs = 8_000;

/** Where an endpoint is and how much it takes. */
export type EndpointAddress = Omit<EndpointTarget, 'serves'>;

interface Served {
  /** What it was made of; another text makes it anew. */
  readonly made: string;
  readonly worker: Worker;
  readonly health: EndpointHealth;
  readonly client: EndpointClient;
}

export class PushHost {
  readonly #options: PushHostOptions;
  readonly #ports: Ports;
  readonly #served = new Map<string, Served>();
  #looking: Promise<void> | null = null;
  #cancelLook: CancelTimer = () => {};
  #started = false;
  #closed: Promise<void> | null = null;

  constructor(options: PushHostOptions) {
    this.#options = options;
    this.#ports = options.ports ?? nodePorts;
  }

  /** Begins to serve. Does nothing without a secret. Idempotent. */
  start(): void {
    if (this.#started || this.#options.secrets.length === 0 || this.#closed !== null) return;
    this.#started = true;
    this.#look();
  }

  /** Finishes what is under way, for a while, and leaves the rest to others. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** One round: serves what is registered and ours, and leaves what is not. Errors of one endpoint harm no other. */
  async tick(): Promise<void> {
    const { engine } = this.#options;
    const wanted = await this.#entries();
    for (const app of [...this.#served.keys()]) if (!wanted.has(app)) await this.#leave(app);
    await Promise.all(
      [...wanted].map(async ([app, target]) => {
        try {
          const isOurs = this.#closed === null && (await engine.holdDuty(dutyOf(app), dutyMs));
          const made = JSON.stringify(target);
          const served = this.#served.get(app);
          if (served !== undefined && (!isOurs || served.made !== made)) await this.#leave(app);
          if (isOurs && !this.#served.has(app)) await this.#serve(app, target, made);
        } catch (error) {
          this.#fault(`The endpoint of ${app} cannot be served.`, error);
        }
      }),
    );
  }

  /** The endpoints that are registered, and how they are as far as this server knows. */
  async list(): Promise<EndpointView[]> {
    return [...(await this.#entries())].map(([app, target]) => this.#viewOf(app, target));
  }

  /**
   * Asks an endpoint what it serves and registers that.
   *
   * @throws PUSH_DISABLED, ENDPOINT_REFUSED, ENDPOINT_FAILED, DEFINITION_INVALID
   */
  async add(app: string, endpoint: EndpointAddress): Promise<EndpointView> {
    const client = await this.#clientOf(app, endpoint);
    try {
      const manifest = await describeEndpoint(client, shown(endpoint.url));
      if (manifest.app !== app)
        throw new SpineError('ENDPOINT_FAILED', {
          url: shown(endpoint.url),
          reason: `it serves the app "${manifest.app}"`,
        });
      await this.#options.engine.register(manifest);
      await this.#enter(app, { ...endpoint, serves: manifest });
    } finally {
      client.close();
    }
    if (this.#started) this.#look();
    return this.#viewOf(app, endpoint);
  }

  /** The app is called no more; its definitions stay. @throws ENDPOINT_NOT_FOUND */
  async remove(app: string): Promise<void> {
    if (!(await this.#entries()).has(app)) throw new SpineError('ENDPOINT_NOT_FOUND', { app });
    await this.#enter(app, null);
    if (this.#started) this.#look();
  }

  /** The secret that the endpoint of an app is to have. @throws PUSH_DISABLED */
  async secretOf(app: string): Promise<string> {
    const [secret] = this.#secretsOf(app);
    if (secret === undefined) throw new SpineError('PUSH_DISABLED', {});
    return secret;
  }

  /** The endpoints in force, by app. */
  async #entries(): Promise<ReadonlyMap<string, EndpointTarget>> {
    const definitions = await this.#options.engine.currentDefinitions();
    return new Map(
      definitions.flatMap(({ endpoint }) =>
        endpoint === undefined || endpoint.target === null ? [] : [[endpoint.app, endpoint.target] as const],
      ),
    );
  }

  /** Beside the apps, so that an endpoint is kept, moved and restored with them, and no definitions change with it. */
  async #enter(app: string, target: EndpointTarget | null): Promise<void> {
    const endpoint: EndpointEntry = { app, setAt: this.#ports.clock.now(), target };
    const nothing = { topics: [], workflows: [], capabilities: [] };
    await this.#options.engine.register({ format: 1, app: `endpoint:${app}`, ...nothing, endpoint });
  }

  #look(): void {
    this.#cancelLook();
    const before = this.#looking ?? Promise.resolve();
    const look = before
      .then(() => this.tick())
      .catch((error: unknown) => this.#fault('Endpoints cannot be looked up.', error))
      .then(() => {
        if (this.#looking !== look) return;
        this.#looking = null;
        if (this.#closed === null) this.#cancelLook = this.#ports.timers.after(lookEveryMs, () => this.#look());
      });
    this.#looking = look;
  }

  async #close(): Promise<void> {
    this.#cancelLook();
    await this.#looking;
    await Promise.all(
      [...this.#served.keys()].map(async (app) => {
        await this.#leave(app);
        // Soon over: the next server need not wait for the duty to run out.
        await this.#options.engine.holdDuty(dutyOf(app), 1).catch(() => false);
      }),
    );
  }

  async #serve(app: string, endpoint: EndpointTarget, made: string): Promise<void> {
    const client = await this.#clientOf(app, endpoint);
    // What runs bodies is of no use to a server that serves no endpoint, and is not loaded by it.
    const [{ createInProcessTransport }, { workerOf }, { beginPushed }] = await Promise.all([
      import('../../worker/index.js'),
      import('../../worker/worker.js'),
      import('../../worker/push/pushed-work.js'),
    ]);
    const health = new EndpointHealth(this.#ports, endpoint.concurrency);
    const worker = workerOf({
      registry: registryOf(endpoint.serves),
      offer: { workflows: null, capabilities: null },
      transport: createInProcessTransport(this.#options.engine),
      begin: () => {
        throw new Error('Invariant broken: the work of an endpoint was begun here');
      },
      beginWork: (assignment, host) => beginPushed(assignment, host, { client, health, timeoutMs: endpoint.timeoutMs }),
      gate: health,
      ports: this.#ports,
      name: `push:${app}`.slice(0, 128),
      slots: endpoint.concurrency,
      parkAfterMs: 0,
      drainGraceMs: drainMs,
      log: ({ level, message, fields }) => {
        if (level === 'error') this.#fault(`${message} (${app})`, fields);
      },
      host: new URL(endpoint.url).origin,
      pid: process.pid,
    });
    this.#served.set(app, { made, worker, health, client });
    void worker.start().catch((error: unknown) => this.#fault(`The endpoint of ${app} cannot be served.`, error));
    void worker.stopped.then(() => {
      if (this.#served.get(app)?.worker === worker) this.#served.delete(app);
    });
  }

  async #leave(app: string): Promise<void> {
    const served = this.#served.get(app);
    if (served === undefined) return;
    await served.worker.drain();
    served.health.stop();
    served.client.close();
    if (this.#served.get(app) === served) this.#served.delete(app);
  }

  async #clientOf(app: string, { url }: EndpointAddress): Promise<EndpointClient> {
    const secrets = this.#secretsOf(app);
    if (secrets.length === 0) throw new SpineError('PUSH_DISABLED', {});
    const { rules, resolve } = this.#options;
    return new EndpointClient({
      url,
      secrets,
      rules,
      ports: this.#ports,
      ...(resolve === undefined ? {} : { resolve }),
    });
  }

  #secretsOf(app: string): string[] {
    return this.#options.secrets.map((secret) => endpointSecret(secret, app));
  }

  #viewOf(app: string, { url, concurrency, timeoutMs }: EndpointAddress): EndpointView {
    const health = this.#served.get(app)?.health;
    const pausedForMs = health?.pausedForMs ?? 0;
    return {
      app,
      url: shown(url),
      concurrency,
      timeoutMs,
      state: health === undefined ? 'elsewhere' : pausedForMs > 0 ? 'paused' : 'serving',
      slots: health?.slots() ?? null,
      reason: health?.reason ?? null,
      pausedForMs,
    };
  }

  #fault(message: string, error: unknown): void {
    this.#options.log({ level: 'error', message, reference: 'push', error });
  }
}

function dutyOf(app: string): string {
  return `push:${app}`;
}

/** The definitions alone: nothing of the app is here. */
function registryOf(manifest: Manifest) {
  return {
    app: manifest.app,
    manifest,
    versions: () => undefined,
    definition: () => undefined,
    handler: () => undefined,
  };
}
