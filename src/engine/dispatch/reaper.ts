/**
 * Ends sessions whose heartbeat has stood still, and sees that none of their leases is left behind.
 *
 * Invariant: a session is closed before its leases are listed, so that no claim comes after the list; what a reaper that
 * dies in between leaves behind, the next one finds.
 */
import { limits } from '../../core/limits.js';
import type { TaskRow } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import type { Heartbeats } from './heartbeats.js';
import type { Losses } from './losses.js';
import type { OwnedSessions } from './owned-sessions.js';
import type { Pulses } from './pulses.js';
import { sessionInfo } from './session-info.js';

export interface ReaperOptions {
  readonly context: EngineContext;
  readonly sessions: OwnedSessions;
  readonly pulses: Pulses;
  /** Is told when the store has answered. */
  readonly heartbeats: Pick<Heartbeats, 'reached'>;
  readonly losses: Pick<Losses, 'loseLeases'>;
}

export class Reaper {
  readonly #context: EngineContext;
  readonly #sessions: OwnedSessions;
  readonly #pulses: Pulses;
  readonly #heartbeats: ReaperOptions['heartbeats'];
  readonly #losses: ReaperOptions['losses'];
  /** Leases whose session was not there at the last look; by token, as one may be lost more than once. */
  #orphansSeen: ReadonlySet<string> = new Set();

  constructor(options: ReaperOptions) {
    this.#context = options.context;
    this.#sessions = options.sessions;
    this.#pulses = options.pulses;
    this.#heartbeats = options.heartbeats;
    this.#losses = options.losses;
  }

  /**
   * Ends the sessions of workers that lived in an earlier process of this installation: they have died with it, so nobody
   * waits for their silence. Only where the store has one owner at a time is it known that the process is gone; among
   * neighbours a session of another epoch may be of one that lives.
   */
  async endPredecessors(): Promise<void> {
    const { store } = this.#context;
    if (store.shared) return;
    for (const row of await store.listSessions()) {
      if (row.owner === store.epoch || sessionInfo(row).inProcess !== true) continue;
      // What such a worker was sent it had: there is no wire on which it could have been lost.
      await this.#bury(row.session, Number.MAX_SAFE_INTEGER, 'info', 'worker session ended with its process');
    }
  }

  /** One round: ends the sessions that are dead by now, and gives their work to others. */
  async reap(): Promise<void> {
    const { store, ports, settings } = this.#context;
    const now = ports.clock.monotonicMs();
    this.#pulses.excuseOwnStall(now);
    const rows = await store.listSessions();
    this.#heartbeats.reached(now);
    // Every server watches all sessions, so that whoever has the duty next knows since when each is silent.
    const inCharge = !store.shared || (await store.holdDuty('reaper', settings.sessionDeadMs));
    const known = new Set(rows.map((row) => row.session));
    this.#pulses.keepOnly((id) => known.has(id) || this.#sessions.has(id));
    for (const row of rows) {
      const silentMs = this.#pulses.observed(row, now);
      if (!inCharge || silentMs <= settings.sessionDeadMs) continue;
      const here = this.#sessions.get(row.session)?.received ?? 0;
      const received = this.#pulses.raiseReceived(row.session, Math.max(row.received, here));
      await this.#bury(row.session, received, 'warn', 'worker session is dead');
    }
    if (inCharge) await this.#adoptOrphans(new Set((await store.listSessions()).map((row) => row.session)));
    else this.#orphansSeen = new Set();
  }

  /** First no more claims, then each lease: what the worker had received is lost, the rest goes back uncounted. */
  async #bury(id: string, received: number, level: 'info' | 'warn', message: string): Promise<void> {
    const { store } = this.#context;
    this.#context.log({ level, message, fields: { session: id } });
    const session = this.#sessions.get(id);
    if (session !== undefined) this.#sessions.detach(session, 'SESSION_GONE');
    await store.closeSession(id);
    await this.#losses.loseLeases(await store.listLeases({ session: id, limit: limits.workerSlotsMax * 2 }), received);
    this.#pulses.end(id);
  }

  /** Leases whose session no longer exists: their reaper died between its two steps. */
  async #adoptOrphans(sessions: ReadonlySet<string>): Promise<void> {
    const leases = await this.#context.store.listLeases({ limit: orphanScanMax });
    const orphans = leases.filter(
      (lease) => lease.session !== null && !sessions.has(lease.session) && !this.#sessions.has(lease.session),
    );
    if (!this.#context.store.shared) return this.#losses.loseLeases(orphans, Number.MAX_SAFE_INTEGER);
    // A neighbour may have opened the session since they were listed, or be about to bury it: look twice.
    const seen = this.#orphansSeen;
    this.#orphansSeen = new Set(orphans.map(nameOfLease));
    const again = orphans.filter((lease) => seen.has(nameOfLease(lease)));
    await this.#losses.loseLeases(again, Number.MAX_SAFE_INTEGER);
  }
}

/** Leases that are looked through for orphans in one round. */
const orphanScanMax = 1_000;

function nameOfLease({ tenant, run, task, token }: TaskRow): string {
  return `${tenant}/${run}/${task}/${token}`;
}
