/**
 * The simulated network: connections between processes, with delays, cuts and the ends of processes. As with TCP, what
 * one end sends arrives in order and one time, or the connection is lost; what was in flight at a cut is gone, and the
 * two ends notice at different times. Messages are copied on their way, so that no object is shared between processes.
 */
import type { Prng } from './prng.js';
import type { SimProcess } from './process.js';
import type { World } from './world.js';

/** What one end of a connection is told. */
export interface WireHandlers<In> {
  onMessage(message: In): void;
  /** Called once, unless this end closed the connection itself. */
  onClose(reason: string): void;
}

/** One end of a connection. */
export interface WireEnd<Out> {
  send(message: Out): void;
  /** What was sent before still arrives; then the other end hears of the close. */
  close(reason: string): void;
}

/** Bounds of the delays, ms. */
export interface NetworkProfile {
  readonly latencyMsMax: number;
  /** How long an end may take to notice that the connection is gone. */
  readonly noticeMsMax: number;
  /** Probability that a message overtakes the one before it. Always 0, but for a planted bug. */
  readonly reorder: number;
}

/** Who accepts connections: the server of the simulated installation. */
export interface Listener<In, Out> {
  readonly process: SimProcess;
  /** Null refuses. */
  accept(end: WireEnd<Out>): WireHandlers<In> | null;
}

/** All connections of the world. */
export class Network {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #profile: NetworkProfile;
  readonly #wires = new Set<Cuttable>();

  constructor(world: World, profile: NetworkProfile) {
    this.#world = world;
    this.#prng = world.prng.fork('network');
    this.#profile = profile;
  }

  /** Opens a connection from `process`. It may be used at once: what is sent before it stands is kept. */
  open<Up, Down>(process: SimProcess, listener: Listener<Up, Down>, handlers: WireHandlers<Down>): WireEnd<Up> {
    const wire = new Wire<Up, Down>(this.#world, this.#prng, this.#profile, process, listener, handlers);
    this.#wires.add(wire);
    wire.onGone = () => this.#wires.delete(wire);
    return wire.near;
  }

  /** Cuts one connection that stands, as the seed decides. False = there is none. */
  cutOne(): boolean {
    const wires = [...this.#wires];
    if (wires.length === 0) return false;
    this.#prng.pick(wires).cut();
    return true;
  }

  /** The process is gone; the system closes its connections. */
  died(process: SimProcess): void {
    for (const wire of [...this.#wires]) wire.died(process);
  }
}

/** How much of a message a verbose replay shows. */
const shownLengthMax = 400;

interface Cuttable {
  cut(): void;
  died(process: SimProcess): void;
}

class Wire<Up, Down> implements Cuttable {
  readonly near: WireEnd<Up>;
  onGone: () => void = () => undefined;
  readonly #prng: Prng;
  readonly #profile: NetworkProfile;
  readonly #up: Direction<Up>;
  readonly #down: Direction<Down>;
  readonly #client: SimProcess;
  readonly #server: SimProcess;
  #gone = false;

  constructor(
    world: World,
    prng: Prng,
    profile: NetworkProfile,
    client: SimProcess,
    listener: Listener<Up, Down>,
    handlers: WireHandlers<Down>,
  ) {
    this.#prng = prng;
    this.#profile = profile;
    this.#client = client;
    this.#server = listener.process;
    this.#down = new Direction(world, prng, profile, client, handlers);
    this.#up = new Direction(world, prng, profile, listener.process, null);
    this.near = {
      send: (message) => this.#up.send(message),
      close: (reason) => this.#close(this.#up, this.#down, reason),
    };
    const far: WireEnd<Down> = {
      send: (message) => this.#down.send(message),
      close: (reason) => this.#close(this.#down, this.#up, reason),
    };
    // The handshake is an event of the world: a process that is down cannot even refuse.
    world.after(null, this.#delay(), 'connect', () => {
      if (this.#gone) return;
      const accepted = listener.process.up ? listener.accept(far) : null;
      if (accepted === null) this.#refuse();
      else this.#up.open(accepted);
    });
  }

  /** Nothing arrives any more; both ends find out, each in its own time. */
  cut(): void {
    if (this.#gone) return;
    this.#end();
    this.#down.lose(this.#prng.next() * this.#profile.noticeMsMax, 'connection reset');
    this.#up.lose(this.#prng.next() * this.#profile.noticeMsMax, 'connection reset');
  }

  died(process: SimProcess): void {
    if (this.#gone || (process !== this.#client && process !== this.#server)) return;
    this.#end();
    const [survivor, dead] = process === this.#client ? [this.#up, this.#down] : [this.#down, this.#up];
    dead.deafen();
    // What the process has sent is with the system, which goes on delivering it.
    survivor.finish('connection closed');
  }

  #refuse(): void {
    this.#end();
    this.#down.lose(this.#delay(), 'connection refused');
  }

  #close(out: { finish(reason: string): void }, own: { deafen(): void }, reason: string): void {
    if (this.#gone) return;
    this.#end();
    own.deafen();
    out.finish(reason);
  }

  #end(): void {
    this.#gone = true;
    this.onGone();
  }

  #delay(): number {
    return this.#prng.next() * this.#profile.latencyMsMax;
  }
}

/** One direction of a connection: messages to one process, first in, first out. */
class Direction<M> {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #profile: NetworkProfile;
  readonly #receiver: SimProcess;
  readonly #queue: string[] = [];
  #handlers: WireHandlers<M> | null;
  #lastAtMs = 0;
  #lost = false;
  #closing = false;

  constructor(
    world: World,
    prng: Prng,
    profile: NetworkProfile,
    receiver: SimProcess,
    handlers: WireHandlers<M> | null,
  ) {
    this.#world = world;
    this.#prng = prng;
    this.#profile = profile;
    this.#receiver = receiver;
    this.#handlers = handlers;
  }

  /** The connection stands: what was sent before is delivered. */
  open(handlers: WireHandlers<M>): void {
    this.#handlers = handlers;
    for (let i = 0; i < this.#queue.length; i++) this.#plan();
  }

  send(message: M): void {
    if (this.#lost || this.#closing) return;
    const text = JSON.stringify(message);
    if (this.#profile.reorder > 0 && this.#queue.length > 0 && this.#prng.chance(this.#profile.reorder))
      this.#queue.splice(this.#queue.length - 1, 0, text);
    else this.#queue.push(text);
    if (this.#handlers !== null) this.#plan();
  }

  /** Everything in flight is gone. */
  lose(noticeMs: number, reason: string): void {
    if (this.#closing) return;
    this.#lost = true;
    this.#closing = true;
    this.#world.after(this.#receiver, noticeMs, `${this.#receiver.name} lost`, () => this.#tell(reason));
  }

  /** What is in flight arrives, then the close. */
  finish(reason: string): void {
    if (this.#closing) return;
    this.#closing = true;
    // A little after the last message, so that the tie-break cannot put it before.
    const atMs = this.#arrivalMs() + 0.001;
    this.#world.after(this.#receiver, atMs - this.#world.nowMs, `${this.#receiver.name} closed`, () =>
      this.#tell(reason),
    );
  }

  /** The receiver closed the connection and listens no more. */
  deafen(): void {
    this.#handlers = null;
    this.#lost = true;
    this.#closing = true;
  }

  #tell(reason: string): void {
    const handlers = this.#handlers;
    this.#handlers = null;
    this.#lost = true;
    handlers?.onClose(reason);
  }

  #plan(): void {
    const atMs = this.#arrivalMs();
    this.#world.after(this.#receiver, atMs - this.#world.nowMs, `${this.#receiver.name} receive`, () => {
      const text = this.#queue.shift();
      if (text === undefined || this.#lost) return;
      this.#world.onEvent?.(`  ${this.#receiver.name} reads ${text.slice(0, shownLengthMax)}`);
      const message = JSON.parse(text) as M & { readonly t?: string };
      this.#world.trace.text(message.t ?? '');
      this.#handlers?.onMessage(message);
    });
  }

  #arrivalMs(): number {
    this.#lastAtMs = Math.max(this.#lastAtMs, this.#world.nowMs + this.#prng.next() * this.#profile.latencyMsMax);
    return this.#lastAtMs;
  }
}
