/**
 * API keys: a few admins make, rotate and revoke keys of the same few names, at whichever server, and programs look keys up
 * as a server does when somebody comes with one. What each was told is written down.
 */
import { keyStateAt } from '../../core/keys/api-key.js';
import { readKeyText } from '../../core/keys/key-text.js';
import type { Origin } from '../../engine/api.js';
import type { Cluster } from './cluster.js';
import type { History } from './history.js';
import { LossyRequests } from './lossy-requests.js';
import type { Prng } from './prng.js';
import { nodePorts } from '../../runtime/index.js';
import { SimProcess } from './process.js';
import type { World } from './world.js';

const tenant = 'acme';
const names = ['k0', 'k1'];
const origin: Origin = { tenant, actor: 'client:keeper', traceparent: null, correlation: null };

export interface KeyKeepersOptions {
  readonly world: World;
  readonly cluster: Cluster;
  readonly history: History;
  /** What each admin does. */
  readonly orders: number;
  readonly spreadMs: number;
  /** Probability that a request or its answer is lost, as it is now. */
  readonly loss: () => number;
}

/** What an admin or a program was told. */
export interface KeyWord {
  readonly what: 'made' | 'rotated' | 'revoked' | 'good' | 'bad';
  readonly id: string;
  /** SHA-256 of the secret that was handed out or looked up; empty where there is none. */
  readonly hash: string;
  /** Steps of the world at which it was asked and told. */
  readonly asked: number;
  readonly told: number;
}

/** See the head of this file. */
export class KeyKeepers {
  readonly #options: KeyKeepersOptions;
  readonly #prng: Prng;
  readonly #requests: LossyRequests;
  readonly #keepers: SimProcess[];
  /** Texts that somebody has. */
  readonly #texts: string[] = [];

  constructor(options: KeyKeepersOptions) {
    const { world, cluster, loss } = options;
    this.#options = options;
    this.#prng = world.prng.fork('keys');
    this.#requests = new LossyRequests({ cluster, prng: this.#prng, loss });
    this.#keepers = ['a0', 'a1', 'a2'].map((name) => new SimProcess(world, name));
  }

  start(): void {
    const { orders, spreadMs } = this.#options;
    for (const keeper of this.#keepers) {
      keeper.start();
      // Close together, so that they meet.
      for (let i = 0; i < orders; i++) {
        const at = (i / orders) * spreadMs + this.#prng.next() * 60;
        keeper.after(at, 'order', () => this.#order(keeper));
      }
    }
  }

  #order(keeper: SimProcess): void {
    const name = this.#prng.pick(names);
    const asked = this.#options.world.steps;
    const chance = this.#prng.next();
    if (chance < 0.35) return this.#make(keeper, name, asked);
    if (chance < 0.6) return this.#rotate(keeper, name, asked);
    if (chance < 0.75) return this.#revoke(keeper, name, asked);
    this.#look(keeper, asked);
  }

  #make(keeper: SimProcess, name: string, asked: number): void {
    const order = { name, tenant, roles: [], permissions: null, clearances: null, expiresMs: null };
    this.#requests.ask(
      keeper,
      (engine) => engine.createKey(origin, order),
      (made) => {
        if (made !== null) this.#handedOut('made', made.key, asked);
      },
    );
  }

  #rotate(keeper: SimProcess, name: string, asked: number): void {
    const overlapMs = this.#prng.pick([0, 2_000]);
    this.#requests.ask(
      keeper,
      (engine) => engine.rotateKey(tenant, name, overlapMs),
      (made) => {
        if (made !== null) this.#handedOut('rotated', made.key, asked);
      },
    );
  }

  #revoke(keeper: SimProcess, name: string, asked: number): void {
    this.#requests.ask(
      keeper,
      (engine) => engine.revokeKey(origin, tenant, name),
      (ended) => {
        if (ended !== null) this.#note({ what: 'revoked', id: ended.id, hash: '', asked });
      },
    );
  }

  #look(keeper: SimProcess, asked: number): void {
    if (this.#texts.length === 0) return;
    const text = this.#prng.pick(this.#texts);
    const parts = readKeyText(text);
    if (parts === null) throw new Error(`Not the text of a key: ${text}`);
    const hash = nodePorts.hash.sha256(parts.secret);
    this.#requests.ask(
      keeper,
      async (engine) => {
        const key = await engine.keyOf(parts.id);
        const now = engine.now();
        const isGood =
          key !== null &&
          keyStateAt(key, now) === 'active' &&
          key.secrets.some((secret) => secret.hash === hash && (secret.until === null || now < secret.until));
        return isGood ? 'good' : 'bad';
      },
      (what) => {
        if (what !== null) this.#note({ what, id: parts.id, hash, asked });
      },
    );
  }

  #handedOut(what: 'made' | 'rotated', text: string, asked: number): void {
    this.#texts.push(text);
    const parts = readKeyText(text);
    if (parts !== null) this.#note({ what, id: parts.id, hash: nodePorts.hash.sha256(parts.secret), asked });
  }

  #note(word: Omit<KeyWord, 'told'>): void {
    const { history, world } = this.#options;
    history.keys.push({ ...word, told: world.steps });
  }
}
