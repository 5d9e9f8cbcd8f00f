/**
 * The real worker and the real workflow runtime on a simulated process: only the transport is ours, and it listens in to
 * write down under which claim user code runs and what each body is told.
 */
import { createWorker, type Heart, type HeartOptions, type Worker, type WorkerTransport } from '../../worker/index.js';
import type { Ports } from '../../core/ports.js';
import { SpineError } from '../../core/errors.js';
import { registryOf } from '../../worker/app-registry.js';
import { EndpointHealth } from '../../worker/push/endpoint-health.js';
import { beginPushed } from '../../worker/push/pushed-work.js';
import { workerOf } from '../../worker/worker.js';
import type { ServerMessage, WorkerMessage } from '../../protocol/worker.js';
import type { Engine } from '../../engine/api.js';
import type { SimEndpoint } from './endpoint.js';
import type { History } from './history.js';
import type { Route } from './cluster.js';
import { versionsOfBuild, type BuildName } from './manifest.js';
import type { Network, WireEnd } from './network.js';
import { performedOn, type ClaimMark } from './performance.js';
import { programApp, providerError, type ShadowStage } from './program-app.js';
import type { SimProcess } from './process.js';
import type { Provider } from './provider.js';
import type { SimWorker } from './sim-worker.js';
import { WorkerHost, type WorkerHostOptions } from './worker-host.js';

/** What a real worker needs. */
export interface RealWorkerOptions extends WorkerHostOptions {
  readonly network: Network;
  readonly route: Route;
  /** Where the heart beats, if it does not go where the data line goes. */
  readonly heartRoute: Route | null;
  readonly history: History;
  readonly provider: Provider;
  readonly slots: number;
  readonly parkAfterMs: number;
  /** Whether the app has agents. */
  readonly agents: boolean;
  /** Whether a capability is limited. */
  readonly limited: boolean;
  /** Whether topics have subscriptions. */
  readonly subscribed: boolean;
  /** Attempts of inferences for the weather at the model. */
  readonly patience: number;
  /** Whether a version of the model is asked beside the others, and what is wrong with that; null = none is. */
  readonly shadow: Pick<ShadowStage, 'flaw'> | null;
  /** The build that the process would be started with now. */
  readonly build: () => BuildName;
  /** Where its work is pushed to; null = it does it itself. */
  readonly endpoint: SimEndpoint | null;
  readonly only: { readonly workflows: readonly string[]; readonly capabilities: readonly string[] };
  /** A planted bug: what it says comes out otherwise. */
  readonly garbled?: ((message: WorkerMessage) => WorkerMessage) | undefined;
}

/** See the head of this file. */
export class RealWorker implements SimWorker {
  readonly host: WorkerHost;
  readonly #options: RealWorkerOptions;
  #worker: Worker | null = null;

  constructor(options: RealWorkerOptions) {
    this.#options = options;
    this.host = new WorkerHost(options, {
      boot: (ports, heart) => this.#boot(ports, heart),
      died: () => {
        this.#worker = null;
      },
    });
  }

  get session(): string | null {
    return this.#worker?.stats.session ?? null;
  }

  #boot(ports: Ports, heart: SimProcess): void {
    const { slots, parkAfterMs, only, provider, agents, limited, subscribed, patience, history, endpoint } =
      this.#options;
    const build = this.#options.build();
    const claims = new Claims(history, build);
    const transport = this.#transport(claims, heart);
    const name = this.host.name;
    const worker =
      endpoint === null
        ? createWorker({
            app: programApp(
              performedOn({
                history,
                provider,
                timers: ports.timers,
                claimOf: (key) => claims.of(key),
                die: () => this.host.crash('poison'),
              }),
              build,
              agents,
              limited,
              patience,
              this.#shadowStage(ports),
              subscribed,
            ),
            connect: transport,
            ports,
            slots,
            parkAfterMs,
            name,
            workflows: only.workflows,
            capabilities: only.capabilities,
          })
        : this.#pushing(endpoint, claims, transport, ports);
    this.#worker = worker;
    worker.start().catch(() => undefined);
  }

  #shadowStage(ports: Ports): ShadowStage | null {
    const { shadow, world, history } = this.#options;
    if (shadow === null) return null;
    const prng = world.prng.fork(`${this.host.name}/shadow`);
    return {
      flaw: shadow.flaw,
      perform: async (node, at, key) => {
        const [tenant = '', run = '', ...path] = at.split('/');
        history.shadows.push({ tenant, run, path: path.join('/'), key, step: world.steps });
        const dice = prng.next();
        await new Promise<void>((resolve) => dice > 0.1 && void ports.timers.after(node.ms * (1 + dice), resolve));
        if (dice > 0.8) throw providerError();
      },
    };
  }

  /** As a server that pushes has it: a session whose work is done by requests. */
  #pushing(endpoint: SimEndpoint, claims: Claims, transport: WorkerTransport, ports: Ports): Worker {
    const { slots, only, agents, limited, subscribed, world } = this.#options;
    const app = programApp(async () => '', 'plain', agents, limited, 0, null, subscribed);
    const health = new EndpointHealth(ports, slots);
    const client = endpoint.senderFrom(this.host.main, ports, (task) =>
      task.kind === 'describe'
        ? claims.of('')
        : claims.of(task.kind === 'call' ? task.idempotencyKey : `${task.tenant}/${task.run}`),
    );
    const timeoutMs = world.prng.fork(`${this.host.name}/push`).pick([400, 3_000, 30_000]);
    return workerOf({
      registry: registryOf(app),
      offer: only,
      transport,
      begin: () => {
        throw new Error('Invariant broken: the work of an endpoint was begun by who pushes it');
      },
      beginWork: (assignment, host) => beginPushed(assignment, host, { client, health, timeoutMs }),
      gate: health,
      ports,
      name: this.host.name,
      slots,
      parkAfterMs: 0,
      drainGraceMs: 1_000,
      log: undefined,
      host: undefined,
      pid: undefined,
    });
  }

  #transport(claims: Claims, heart: SimProcess): WorkerTransport {
    const { network, route, heartRoute, world, garbled = (message) => message } = this.#options;
    const blobs = (): Engine => {
      const { engine } = route.server;
      if (engine === null) throw new SpineError('SHUTTING_DOWN', {});
      return engine;
    };
    let opened = false;
    return {
      open: (onMessage, onClose) => {
        if (opened) route.moveOn();
        opened = true;
        const wire = network.open<WorkerMessage, ServerMessage>(this.host.main, route.server, {
          onMessage: (message) => {
            claims.listen(message);
            onMessage(message);
          },
          onClose,
        });
        return {
          send: (message) => wire.send(garbled(message)),
          close: () => wire.close('closed'),
          bufferedBytes: () => 0,
        };
      },
      putBlob: async ({ tenant, hash }, bytes) => blobs().putBlob(tenant, hash, bytes),
      getBlob: async ({ tenant, hash }) => {
        const bytes = await blobs().readBlob(tenant, hash);
        if (bytes === null) throw new SpineError('BLOB_NOT_FOUND', { blob: hash });
        return bytes;
      },
      startHeart: (options) =>
        startHeart(options, heart, network, { route, heartRoute }, world.prng.fork(`${heart.name}/pace`)),
    };
  }
}

/** The heart's thread: it beats over a line of its own as long as the process lives. */
function startHeart(
  options: HeartOptions,
  heart: SimProcess,
  network: Network,
  { route, heartRoute }: { readonly route: Route; readonly heartRoute: Route | null },
  pace: { next(): number },
): Heart {
  const { session, beatMs, pulse, onSessionOver } = options;
  let stopped = false;
  let wire: WireEnd<WorkerMessage> | null = null;
  const connect = (): void => {
    if (stopped) return;
    const mine: WireEnd<WorkerMessage> = network.open<WorkerMessage, ServerMessage>(
      heart,
      (heartRoute ?? route).server,
      {
        onMessage: (message) => {
          if (message.t === 'goodbye') onSessionOver(message.reason);
        },
        onClose: () => {
          if (wire !== mine) return;
          wire = null;
          heartRoute?.moveOn();
          heart.after(pace.next() * beatMs, 'heart reconnects', connect);
        },
      },
    );
    wire = mine;
    const beat = (): void => {
      if (stopped || wire !== mine) return;
      mine.send({ t: 'beat', session, n: pulse.nextBeat(), received: pulse.received });
      heart.after(beatMs, 'beat', beat);
    };
    beat();
  };
  connect();
  return {
    stop: () => {
      stopped = true;
      wire?.close('session over');
      wire = null;
    },
  };
}

/** Which claim a run or call is worked on under, as the line has said; and what bodies were told. */
class Claims {
  readonly #history: History;
  readonly #claims = new Map<string, ClaimMark>();
  readonly #build: BuildName;
  #session = '';

  constructor(history: History, build: BuildName) {
    this.#history = history;
    this.#build = build;
  }

  of(key: string): ClaimMark {
    return this.#claims.get(key) ?? { session: '', assignment: 0 };
  }

  listen(message: ServerMessage): void {
    if (message.t === 'welcome') this.#session = message.session;
    if (message.t === 'assign')
      for (const item of message.items) {
        const { assignment, tenant, run } = item;
        const claim = { session: this.#session, assignment };
        this.#claims.set(item.kind === 'call' ? item.idempotencyKey : `${tenant}/${run}`, claim);
        if (item.kind !== 'activation') continue;
        const { workflow, version, journal } = item;
        const versions = versionsOfBuild(this.#build, workflow);
        this.#history.bodies.push({ tenant, run, ...claim, head: journal.head, version, versions, seqs: [] });
      }
    if (message.t === 'deliver')
      for (const { assignment, events } of message.items)
        this.#history.bodies
          .findLast((feed) => feed.assignment === assignment && feed.session === this.#session)
          ?.seqs.push(...events.map((event) => event.seq));
  }
}
