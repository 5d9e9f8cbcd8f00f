/**
 * Lets workers in: a hello becomes a new session, one that is remembered, or one that is restored from the store.
 *
 * Invariant: a session has one object here, and one line: what comes over an older line, or from a server that has owned
 * the session before, changes nothing any more.
 */
import { SpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { limits } from '../../core/limits.js';
import { queuesServed } from '../../core/scale.js';
import { workerProtocol, type Hello, type Resume, type TriageMessage } from '../../protocol/worker.js';
import type { NewSession, TaskRow } from '../../store/contract.js';
import type { WorkerChannel } from '../api.js';
import type { EngineContext } from '../context.js';
import type { Registry } from '../intake/registry.js';
import { runKey } from '../runs/committed.js';
import type { Claims } from './claims.js';
import type { Delivery } from './delivery.js';
import type { Heartbeats } from './heartbeats.js';
import type { OwnedSessions } from './owned-sessions.js';
import type { Pulses } from './pulses.js';
import { Session, type Held, type SessionDescription } from './session.js';

export interface AdmissionOptions {
  readonly context: EngineContext;
  /** Takes note of what workers bring; rejects with DEFINITION_INVALID. */
  readonly registry: Pick<Registry, 'registerWorker' | 'joined' | 'hashOf'>;
  /** Path of blobs under the server's base URL. */
  readonly blobsPath: string;
  /** What workers classify failures by; null = by what they have. */
  readonly triage: () => TriageMessage | null;
  readonly sessions: OwnedSessions;
  readonly pulses: Pulses;
  /** Knows whether the store can be reached. */
  readonly heartbeats: Pick<Heartbeats, 'isCutOff'>;
  /** Sends a worker that comes back what it has missed. */
  readonly delivery: Pick<Delivery, 'catchUp'>;
  /** Takes back what a worker that comes back does not have. */
  readonly claims: Pick<Claims, 'giveBack'>;
}

export class Admission {
  readonly #context: EngineContext;
  readonly #registry: AdmissionOptions['registry'];
  readonly #blobsPath: string;
  readonly #triage: AdmissionOptions['triage'];
  readonly #sessions: OwnedSessions;
  readonly #pulses: Pulses;
  readonly #heartbeats: AdmissionOptions['heartbeats'];
  readonly #delivery: AdmissionOptions['delivery'];
  readonly #claims: AdmissionOptions['claims'];
  /** What every session asks before it tells its worker anything. */
  readonly #mayTell: () => boolean;
  #closed = false;

  constructor(options: AdmissionOptions) {
    this.#context = options.context;
    this.#registry = options.registry;
    this.#blobsPath = options.blobsPath;
    this.#triage = options.triage;
    this.#sessions = options.sessions;
    this.#pulses = options.pulses;
    this.#heartbeats = options.heartbeats;
    this.#delivery = options.delivery;
    this.#claims = options.claims;
    this.#mayTell = () => !this.#heartbeats.isCutOff();
  }

  /** Lets nobody in any more. */
  close(): void {
    this.#closed = true;
  }

  /**
   * Opens the session of a worker and welcomes it. `isOpen` says whether the line still stands: a worker that has left it
   * may be back on another already. Resolves to null where the line gets no session; rejects with PROTOCOL_MISMATCH,
   * SHUTTING_DOWN, STORE_UNREACHABLE or DEFINITION_INVALID.
   */
  async hello(said: Hello, channel: WorkerChannel, isOpen: () => boolean): Promise<Session | null> {
    if (said.protocol !== workerProtocol)
      throw new SpineError('PROTOCOL_MISMATCH', { theirs: said.protocol, ours: workerProtocol });
    if (this.#closed) throw new SpineError('SHUTTING_DOWN', {});
    if (this.#heartbeats.isCutOff()) throw new SpineError('STORE_UNREACHABLE', {});
    // Where an app is called is for operators to say.
    const { endpoint: _endpoint, ...manifest } = said.manifest;
    const hello: Hello = { ...said, manifest };
    await this.#registry.registerWorker(manifest, hello.resume !== undefined);
    const resumed = hello.resume === undefined ? null : await this.#resume(hello, hello.resume, channel, isOpen);
    if (!isOpen()) return null;
    if (hello.resume !== undefined && resumed === null) {
      channel.send({
        t: 'goodbye',
        reason: `SESSION_GONE: ${new SpineError('SESSION_GONE', { session: hello.resume.session }).message}`,
      });
      channel.close('SESSION_GONE');
      return null;
    }
    const session = resumed?.session ?? (await this.#open(hello, channel));
    await this.#registry.joined(hello.manifest);
    if (!isOpen()) return null;
    session.channel?.close('The worker came back on another line.');
    session.disconnect();
    session.channel = channel;
    channel.send({
      t: 'welcome',
      session: session.description.session,
      resumed: resumed !== null,
      assigned: session.nextAssignment - 1,
      beatMs: this.#context.settings.sessionBeatMs,
      deadMs: this.#context.settings.sessionDeadMs,
      lost: resumed?.lost ?? [],
      valueBytesMax: this.#context.settings.valueBytesMax,
      blobs: this.#blobsPath,
      shadows: true,
      judges: true,
    });
    const triage = this.#triage();
    if (triage !== null) channel.send(triage);
    if (resumed !== null && hello.resume !== undefined) {
      const missed = this.#sentNowhere(session, hello.resume);
      await this.#delivery.catchUp(session, hello.resume, channel);
      await this.#claims.giveBack(session, missed);
    }
    return session;
  }

  /** What a claim brought while the session had no line: it was sent, and nobody was there to receive it. */
  #sentNowhere(session: Session, resume: Resume): Held[] {
    const holding = new Set(resume.holding.map((held) => held.assignment));
    return [...session.held.values()].filter((held) => held.sentSeq >= 0 && !holding.has(held.number));
  }

  async #open(hello: Hello, channel: WorkerChannel): Promise<Session> {
    const { ports, store } = this.#context;
    const description = this.#describe(newId('session', ports), hello, channel);
    const session = new Session(description, store.now(), ports, this.#mayTell);
    const row: NewSession = {
      session: session.description.session,
      worker: hello.worker,
      app: hello.app,
      openedAt: session.openedAt,
      counter: 0,
      received: 0,
      info: JSON.stringify(session.description),
    };
    await store.openSession(row);
    this.#sessions.add(session);
    this.#pulses.begin({ session: row.session, counter: 0, received: 0 });
    return session;
  }

  /** Takes a session up again: from memory, or from the store after a restart of the server. */
  async #resume(
    hello: Hello,
    resume: Resume,
    channel: WorkerChannel,
    isOpen: () => boolean,
  ): Promise<{ session: Session; lost: number[] } | null> {
    const session = this.#context.store.shared
      ? await this.#takeBack(hello, resume, channel, isOpen)
      : (this.#sessions.get(resume.session) ?? (await this.#restore(hello, resume, channel)));
    if (session === null || !isOpen()) return null;
    if (session.ended) return null;
    session.received = Math.max(session.received, resume.received);
    session.draining = false;
    const holding = new Map(resume.holding.map((h) => [h.assignment, h.seen]));
    const unreceived: Held[] = [];
    for (const held of [...session.held.values()]) {
      session.nextAssignment = Math.max(session.nextAssignment, held.number + 1);
      const seen = holding.get(held.number);
      if (seen !== undefined) held.sentSeq = seen;
      // Never received, or received and put down again without a trace: back to the queue, uncounted.
      else unreceived.push(held);
    }
    session.nextAssignment = Math.max(session.nextAssignment, resume.received + 1);
    session.creditUpTo = 0;
    await this.#claims.giveBack(session, unreceived);
    const lost = resume.holding.map((h) => h.assignment).filter((number) => session.held.get(number) === undefined);
    return { session, lost };
  }

  /**
   * What is remembered of a session holds only while nobody else has owned it: a worker that comes back from another
   * server is restored from the store. A hello whose line is gone takes nothing away from where the worker is now.
   */
  async #takeBack(
    hello: Hello,
    resume: Resume,
    channel: WorkerChannel,
    isOpen: () => boolean,
  ): Promise<Session | null> {
    const { store } = this.#context;
    const found = (await store.listSessions()).find(({ session }) => session === resume.session);
    if (!isOpen()) return null;
    const known = this.#sessions.get(resume.session);
    if (known !== undefined && found?.owner === store.epoch) return known;
    if (known !== undefined) this.#sessions.cede(known);
    return this.#restore(hello, resume, channel);
  }

  /** The session as the store has it; null where it has none of this worker. */
  async #restore(hello: Hello, resume: Resume, channel: WorkerChannel): Promise<Session | null> {
    const { store, ports } = this.#context;
    const found = (await store.listSessions()).find(({ session }) => session === resume.session);
    const row = found?.worker === hello.worker ? await store.takeSession(resume.session) : null;
    if (row === null) return null;
    const listed = await store.listLeases({ session: row.session, limit: limits.workerSlotsMax * 2 });
    const heads = await this.#headsOf(listed);
    // What is still leased after the heads were read was not ended by anything up to them.
    const leases =
      heads.size === 0 ? listed : await store.listLeases({ session: row.session, limit: limits.workerSlotsMax * 2 });
    // A worker that came on two lines is restored once: a second object would hold what the first is asked for.
    const known = this.#sessions.get(row.session);
    if (known !== undefined) return known;
    const description = this.#describe(row.session, hello, channel);
    const session = new Session(description, row.openedAt, ports, this.#mayTell);
    session.counter = row.counter;
    for (const lease of leases) this.#sessions.hold(session, lease, heads.get(runKey(lease.tenant, lease.run)) ?? 0);
    this.#sessions.add(session);
    this.#pulses.begin({ session: row.session, counter: row.counter, received: resume.received });
    await this.#claims.giveBack(session, aheadOfRecord(session, resume, heads));
    return session;
  }

  /** Heads of the runs of leases, where neighbours may tell of events that led to them. */
  async #headsOf(leases: readonly TaskRow[]): Promise<ReadonlyMap<string, number>> {
    const { store } = this.#context;
    const heads = new Map<string, number>();
    if (!store.shared) return heads;
    await Promise.all(
      leases.map(async ({ tenant, run }) => {
        heads.set(runKey(tenant, run), (await store.readRun(tenant, run))?.head ?? 0);
      }),
    );
    return heads;
  }

  #describe(session: string, hello: Hello, { inProcess = false }: WorkerChannel): SessionDescription {
    return {
      session,
      worker: hello.worker,
      app: hello.app,
      manifest: this.#registry.hashOf(hello.manifest),
      slots: Math.min(hello.slots, limits.workerSlotsMax),
      queues: queuesServed(hello.manifest, hello.only),
      host: hello.host ?? null,
      pid: hello.pid ?? null,
      inProcess,
    };
  }
}

/**
 * Bodies that have seen events which the record no longer has: it was lost by a failover. They would wait for ever for
 * numbers that others get; they are done again from what there is.
 */
function aheadOfRecord(session: Session, resume: Resume, heads: ReadonlyMap<string, number>): Held[] {
  const seen = new Map(resume.holding.map((holding) => [holding.assignment, holding.seen]));
  return [...session.held.values()].filter(({ kind, key, number }) => {
    const head = heads.get(key);
    return kind === 'activation' && head !== undefined && (seen.get(number) ?? 0) > head;
  });
}
