/**
 * Which manifest of each app is in force. Manifests are ordered by when they were first seen, or deployed by hand; of
 * those that live workers have, the newest is in force, and where no worker lives, the newest of all.
 *
 * Invariant: what a worker brings that was seen before changes no order, so that an old worker that is started again in a
 * rollout never brings back what a newer one has replaced (docs/adr/0023-which-definitions-are-in-force.md).
 */
import type { Manifest } from '../../core/manifest.js';
import type { ManifestRow } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { sessionInfo } from '../dispatch/session-info.js';
import type { Catalog } from './catalog.js';

/** A manifest and its place in the order. */
export type Registered = Pick<ManifestRow, 'hash' | 'registeredAt'>;

/** The manifest in force among the known ones of one app; null = none is known. `live`: hashes that workers have. */
export function inForce(known: readonly Registered[], live: ReadonlySet<string>): string | null {
  const alive = known.filter(({ hash }) => live.has(hash));
  const candidates = alive.length > 0 ? alive : known;
  let newest: Registered | null = null;
  for (const one of candidates) if (newest === null || isNewer(one, newest)) newest = one;
  return newest?.hash ?? null;
}

/** Two of one instant were registered with two servers at once; which of them wins must not depend on who asks. */
function isNewer(a: Registered, b: Registered): boolean {
  return a.registeredAt === b.registeredAt ? a.hash > b.hash : a.registeredAt > b.registeredAt;
}

export class Registry {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #onForce: (manifest: Manifest, registeredAt: number) => void;
  /** The order of the manifests that the store has, by app and hash. One whose saving failed is saved with the next hello. */
  readonly #known = new Map<string, Map<string, number>>();
  /** The newest date of each app, also of one that is not saved yet: a later registration is always dated later. */
  readonly #newestAt = new Map<string, number>();
  /** Counts registrations here: what was read of the store while one was under way is out of date. */
  #registrations = 0;
  /** Monotonic time of the last look for a definition that nobody here knew. */
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** A look that has not begun yet, for all who ask meanwhile. */
  #nextLook: Promise<void> | null = null;

  /** `onForce` is told of each manifest that takes force here. */
  constructor(context: EngineContext, catalog: Catalog, onForce: (manifest: Manifest, registeredAt: number) => void) {
    this.#context = context;
    this.#catalog = catalog;
    this.#onForce = onForce;
  }

  /** Takes over what the store has. */
  start(): Promise<void> {
    return this.#read(true);
  }

  /** A round of the duty: neighbours may have registered something, and workers come and go. */
  async tick(): Promise<void> {
    const { shared } = this.#context.store;
    if (shared || [...this.#known.values()].some((ofApp) => ofApp.size > 1)) await this.#read(shared);
  }

  /** What an app's definitions are identified by. */
  hashOf(manifest: Manifest): string {
    return this.#context.ports.hash.sha256(JSON.stringify(manifest));
  }

  /**
   * Takes note of a manifest. One that was never seen is the newest; one that was keeps its place, unless it is `deployed`.
   * Rejects with DEFINITION_INVALID.
   */
  async register(manifest: Manifest, deployed = false): Promise<{ readonly hash: string }> {
    const { store } = this.#context;
    const hash = this.hashOf(manifest);
    const { app } = manifest;
    // A neighbour may have seen it long ago.
    if (!this.#isKnown(app, hash) && store.shared) await this.#read(true);
    if (this.#isKnown(app, hash) && !deployed) return { hash };
    this.#catalog.checkTopics(manifest);
    // Where it is not in force yet, it takes force when its first worker is there.
    if (deployed && this.#catalog.hashOf(app) !== null) this.#catalog.check(manifest);
    else this.#catalog.set(manifest, hash);
    await this.#save(manifest, hash);
    if (this.#catalog.hashOf(app) === hash) this.#onForce(manifest, this.#newestAt.get(app) ?? 0);
    if (deployed) await this.refresh();
    return { hash };
  }

  /**
   * Takes note of what a worker brings. One that comes back to its session brings what it was started with: where nobody
   * knows that any more (a failover has lost it), it is not taken for new.
   */
  async registerWorker(manifest: Manifest, resumed: boolean): Promise<void> {
    if (!resumed || this.#catalog.hashOf(manifest.app) === null) await this.register(manifest);
  }

  /** The session of a worker with this manifest was opened or taken up: its definitions may be in force now. */
  async joined(manifest: Manifest): Promise<void> {
    if (this.#catalog.hashOf(manifest.app) === this.hashOf(manifest)) return;
    // The worker has its session; what could not be read now, the duty reads.
    await this.refresh().catch((error: unknown) => this.#context.fault('definitions', error));
  }

  /** Looks which manifests are in force now. */
  refresh(): Promise<void> {
    return this.#read(this.#context.store.shared);
  }

  /**
   * A name that is not known here may have been registered with a neighbour a moment ago. Resolves after a look that
   * began after the call; those who ask at the same time share one, and one follows the other only after a pause.
   */
  look(): Promise<void> {
    const { clock, timers } = this.#context.ports;
    const waitMs = Math.max(0, this.#lookedAtMs + lookEveryMs - clock.monotonicMs());
    this.#nextLook ??= new Promise<void>((resolve) => {
      timers.after(waitMs, () => {
        this.#nextLook = null;
        this.#lookedAtMs = clock.monotonicMs();
        this.#read(true)
          .catch((error: unknown) => this.#context.fault('definitions', error))
          .finally(resolve);
      });
    });
    return this.#nextLook;
  }

  #isKnown(app: string, hash: string): boolean {
    return this.#known.get(app)?.has(hash) === true;
  }

  async #save(manifest: Manifest, hash: string): Promise<void> {
    const { store } = this.#context;
    const { app } = manifest;
    const registeredAt = Math.max(store.now(), (this.#newestAt.get(app) ?? 0) + 1);
    this.#newestAt.set(app, registeredAt);
    this.#registrations += 1;
    try {
      await store.saveManifest({ app, hash, manifest: JSON.stringify(manifest), registeredAt });
      this.#note(app, hash, registeredAt);
    } finally {
      this.#registrations += 1;
    }
  }

  #note(app: string, hash: string, registeredAt: number): void {
    let ofApp = this.#known.get(app);
    if (ofApp === undefined) this.#known.set(app, (ofApp = new Map<string, number>()));
    ofApp.set(hash, registeredAt);
    this.#newestAt.set(app, Math.max(registeredAt, this.#newestAt.get(app) ?? 0));
  }

  /** `anew`: what is known of the store's manifests may be out of date. */
  async #read(anew: boolean): Promise<void> {
    const before = this.#registrations;
    const { store } = this.#context;
    let rows = anew ? await store.listManifests() : null;
    const live = new Set((await store.listSessions()).flatMap((row) => sessionInfo(row).manifest ?? []));
    if (this.#registrations !== before) return;
    for (const { app, hash, registeredAt } of rows ?? []) this.#note(app, hash, registeredAt);
    for (const [app, known] of this.#known) {
      const ofApp = [...known].map(([hash, registeredAt]) => ({ hash, registeredAt }));
      const hash = inForce(ofApp, live);
      if (hash === null || this.#catalog.hashOf(app) === hash) continue;
      rows ??= await store.listManifests();
      if (this.#registrations !== before) return;
      this.#take(rows.find((row) => row.app === app && row.hash === hash));
    }
  }

  /** One bad manifest of the past must not keep the server down. */
  #take(row: ManifestRow | undefined): void {
    if (row === undefined) return;
    try {
      const manifest = JSON.parse(row.manifest) as Manifest;
      this.#catalog.set(manifest, row.hash);
      this.#onForce(manifest, row.registeredAt);
    } catch (error) {
      this.#context.fault(`manifest of ${row.app}`, error);
      this.#known.get(row.app)?.delete(row.hash);
    }
  }
}

/** The least time between two looks for unknown definitions, so that wrong names cost the store little. */
const lookEveryMs = 250;
