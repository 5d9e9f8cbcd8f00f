/**
 * A function behind an address, to which tasks are pushed: a few instances that share nothing. They are frozen and started
 * cold, they are too busy, they die with their work done, and what stands before them delivers requests twice. The line is
 * ours; what carries a task out, and what tells two deliveries of one request apart, is the code of real endpoints.
 */
import { failure, type Failure } from '../../core/failure.js';
import type { Ports } from '../../core/ports.js';
import type { PushAnswer, PushRequest } from '../../protocol/push.js';
import { registryOf } from '../../worker/app-registry.js';
import type { EndpointReply, EndpointSender } from '../../worker/push/endpoint-reply.js';
import { carryOut } from '../../worker/serverless/carry-out.js';
import { ReceivedIds } from '../../worker/serverless/received-ids.js';
import type { FaultMeter } from './fault-meter.js';
import type { History } from './history.js';
import type { Listener, Network, WireEnd, WireHandlers } from './network.js';
import { performedOn, type ClaimMark } from './performance.js';
import type { Prng } from './prng.js';
import { SimProcess } from './process.js';
import { programApp } from './program-app.js';
import type { Provider } from './provider.js';
import type { World } from './world.js';

/** Planted bugs of an endpoint or of who sends to it. */
export interface EndpointFlaw {
  /** An instance works on what it is given a second time. */
  readonly forgetsIds?: boolean;
  /** A lost answer is taken for a request that was never received. */
  readonly deniesBeginning?: boolean;
}

/** What an endpoint needs. */
export interface SimEndpointOptions {
  readonly world: World;
  readonly network: Network;
  readonly meter: FaultMeter;
  readonly history: History;
  readonly provider: Provider;
  readonly agents: boolean;
  readonly flaw: EndpointFlaw;
}

/** A request on its way. */
interface Asked {
  readonly t: 'task';
  readonly id: string;
  readonly task: PushRequest;
  /** Of no use to the endpoint: under which claim its code runs is for the checkers. */
  readonly claim: ClaimMark;
}

/** Its answer; null = it is busy, or has received the request before. */
interface Told {
  readonly t: 'busy' | 'repeated' | 'answer';
  readonly answer: PushAnswer | null;
}

/** Probabilities for each request while the fault phase lasts. */
interface EndpointWeather {
  busy: number;
  dies: number;
  freezes: number;
  repeats: number;
}

const instancesMax = 3;
const coldStartMsMax = 500;
const freezeMsMax = 4_000;

/** See the head of this file. */
export class SimEndpoint {
  readonly #options: SimEndpointOptions;
  readonly #prng: Prng;
  readonly #instances: readonly Instance[];
  readonly #weather: EndpointWeather;
  #requests = 0;

  constructor(options: SimEndpointOptions) {
    this.#options = options;
    this.#prng = options.world.prng.fork('endpoint');
    const rough = (): number => this.#prng.pick([0, 0.02, 0.1]);
    this.#weather = { busy: rough(), dies: rough(), freezes: rough(), repeats: rough() };
    const count = this.#prng.int(1, instancesMax);
    this.#instances = Array.from({ length: count }, (_, i) => new Instance(`f${i}`, options, this.#weather));
  }

  start(): void {
    for (const instance of this.#instances) instance.boot();
  }

  /** Ends all faults. */
  heal(): void {
    Object.assign(this.#weather, { busy: 0, dies: 0, freezes: 0, repeats: 0 });
    for (const { process } of this.#instances) process.resume();
  }

  /** The way to it from a process; `claimOf` says under which claim a task is sent. */
  senderFrom(process: SimProcess, ports: Ports, claimOf: (task: PushRequest) => ClaimMark): EndpointSender {
    return {
      send: (task, timeoutMs, signal) => this.#send(process, ports, claimOf(task), { task, timeoutMs, signal }),
    };
  }

  #send(
    process: SimProcess,
    ports: Ports,
    claim: ClaimMark,
    {
      task,
      timeoutMs,
      signal,
    }: { readonly task: PushRequest; readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<EndpointReply> {
    const { network, meter, flaw } = this.#options;
    const instance = this.#prng.pick(this.#instances);
    const asked: Asked = { t: 'task', id: `msg_${(this.#requests += 1)}`, task, claim };
    const lost = (failureClass: Failure['class'], code: string, message: string): EndpointReply =>
      flaw.deniesBeginning === true
        ? { tag: 'unreached', reason: message }
        : { tag: 'failed', failure: failure({ class: failureClass, code, message, retryable: true }) };
    return new Promise((resolve) => {
      const finish = (reply: EndpointReply): void => {
        cancel();
        signal.removeEventListener('abort', hangUp);
        wire.close('over');
        resolve(reply);
      };
      const hangUp = (): void => finish(lost('cancelled', 'ABORTED', 'The task was called off.'));
      const wire: WireEnd<Asked> = network.open<Asked, Told>(process, instance, {
        onMessage: (told) => finish(replyOf(told)),
        onClose: (reason) =>
          finish(
            reason === 'connection refused' ? { tag: 'unreached', reason } : lost('network', 'ENDPOINT_LOST', reason),
          ),
      });
      const cancel = ports.timers.after(timeoutMs, () =>
        finish(lost('timeout', 'TASK_TIMEOUT', `The endpoint did not answer within ${timeoutMs} ms.`)),
      );
      signal.addEventListener('abort', hangUp, { once: true });
      wire.send(asked);
      if (!this.#prng.chance(this.#weather.repeats)) return;
      meter.count('endpoint repeat');
      network
        .open<Asked, Told>(process, instance, { onMessage: () => undefined, onClose: () => undefined })
        .send(asked);
    });
  }
}

function replyOf({ t, answer }: Told): EndpointReply {
  if (answer !== null) return { tag: 'answer', answer };
  if (t === 'busy') return { tag: 'busy', reason: 'it answered 503', retryAfterMs: null };
  const message = 'The endpoint answered 409.';
  return { tag: 'failed', failure: failure({ class: 'dependency', code: 'HTTP_409', message, retryable: true }) };
}

/** One instance. Each request has the app to itself, so that it is known under which claim its code runs. */
class Instance implements Listener<Asked, Told> {
  readonly process: SimProcess;
  readonly #options: SimEndpointOptions;
  readonly #weather: EndpointWeather;
  readonly #prng: Prng;
  #ports: Ports | null = null;
  #received = new ReceivedIds();

  constructor(name: string, options: SimEndpointOptions, weather: EndpointWeather) {
    this.process = new SimProcess(options.world, name);
    this.#options = options;
    this.#weather = weather;
    this.#prng = options.world.prng.fork(`endpoint/${name}`);
  }

  boot(): void {
    if (this.process.up) return;
    this.#ports = this.process.start();
    this.#received = new ReceivedIds();
  }

  accept(end: WireEnd<Told>): WireHandlers<Asked> | null {
    const ports = this.#ports;
    if (ports === null) return null;
    const hungUp = new AbortController();
    return {
      onMessage: (asked) => void this.#work(asked, end, ports, hungUp.signal),
      onClose: () => hungUp.abort(),
    };
  }

  async #work({ id, task, claim }: Asked, end: WireEnd<Told>, ports: Ports, signal: AbortSignal): Promise<void> {
    const { history, provider, agents, flaw } = this.#options;
    const answered = (told: Told): void => {
      end.send(told);
      end.close('answered');
    };
    if (this.#happens('busy')) return answered({ t: 'busy', answer: null });
    if (!this.#received.isNew(id) && flaw.forgetsIds !== true) return answered({ t: 'repeated', answer: null });
    if (this.#happens('freezes')) this.#freeze();
    const die = (): void => this.#die();
    const perform = performedOn({ history, provider, timers: ports.timers, claimOf: () => claim, request: id, die });
    const registry = registryOf(programApp(perform, 'plain', agents));
    const answer = await carryOut(task, { registry, ports, signal });
    if (this.#happens('dies')) return die();
    answered({ t: 'answer', answer });
  }

  #happens(what: keyof EndpointWeather): boolean {
    const happens = this.#prng.chance(this.#weather[what]);
    if (happens) this.#options.meter.count(`endpoint ${what}`);
    return happens;
  }

  #freeze(): void {
    this.process.pause();
    const forMs = this.#prng.next() * freezeMsMax;
    this.#options.world.after(null, forMs, `${this.process.name} goes on`, () => this.process.resume());
  }

  /** The platform starts another in its place when it likes. */
  #die(): void {
    if (!this.process.up) return;
    this.process.kill();
    this.#ports = null;
    this.#options.network.died(this.process);
    this.#options.world.after(null, this.#prng.next() * coldStartMsMax, `start ${this.process.name}`, () =>
      this.boot(),
    );
  }
}
