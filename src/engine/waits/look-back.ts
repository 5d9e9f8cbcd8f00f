/**
 * Gives waits the events that they are for. There is one way only: a look through the index, from the birth of the run on,
 * for the first event that matches and that no other wait of the run has. The wait looks when it is opened, and is made to
 * look when the router comes across an event that may be for it; whichever commits second sees the first.
 *
 * Invariant: a look does nothing that a second look would not do as well, so it may be repeated by anybody at any time.
 */
import { writtenUnder } from '../../core/schema/schema-id.js';
import type { RunEvent, RunTrigger } from '../../core/run/events.js';
import {
  indexKey,
  indexSpace,
  lookTimer,
  openedOfLookTimer,
  orderedText,
  waitOfExpiryTimer,
  type TopicEventRef,
} from '../../core/run/waits.js';
import { topicStream, type EntryRow, type TimerRow } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { parseEnvelope, payloadOf } from '../events/envelope-writer.js';
import { readRunEvent } from '../events/rows.js';
import { runKey, type CommittedChange } from '../runs/committed.js';
import type { JobOutcome, Lanes } from '../runs/lanes.js';
import { indexValueOf, matches } from './index-entries.js';

/** A wait by its run and the event that opened it. */
export interface WaitKey {
  readonly tenant: string;
  readonly run: string;
  readonly opened: number;
}

type Opened = Extract<RunEvent, { readonly type: 'wait.opened' }>;
type EventOn = Extract<Opened['data']['on'], { readonly kind: 'event' }>;

export class LookBack {
  readonly #context: EngineContext;
  readonly #lanes: Lanes;
  readonly #index: (tenant: string, topic: string) => Promise<void>;
  readonly #looking = new Set<Promise<void>>();

  /** `index` puts what was published to a topic into the index, and resolves when that is done. */
  constructor(context: EngineContext, lanes: Lanes, index: (tenant: string, topic: string) => Promise<void>) {
    this.#context = context;
    this.#lanes = lanes;
    this.#index = index;
  }

  /** Looks back for waits that this server has just opened. Where it dies meanwhile, their timers are due soon. */
  committed({ tenant, run, events, task }: CommittedChange): void {
    // Only who has opened a wait under a lease was told here; the others have their timers.
    if (task === null) return;
    for (const event of events) {
      if (event.type !== 'wait.opened' || event.data.on.kind !== 'event') continue;
      const key = { tenant, run, opened: event.seq };
      const timer = lookTimer({ opened: event.seq, look: event.seq });
      const look = this.lookAndClear(key, timer)
        .catch((error: unknown) => this.#context.fault('look back', error))
        .finally(() => this.#looking.delete(look));
      this.#looking.add(look);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#looking);
  }

  /** A timer is due: that of a look, or one that ends a wait unless there is something for it after all. */
  async due({ tenant, run, name }: TimerRow): Promise<void> {
    const ending = waitOfExpiryTimer(name);
    if (ending !== null) {
      await this.look({ tenant, run, opened: ending.opened }, true);
      return;
    }
    const opened = openedOfLookTimer(name);
    if (opened !== null) await this.lookAndClear({ tenant, run, opened }, name);
  }

  /** Does what the timer stands for, and clears it. */
  async lookAndClear(wait: WaitKey, timer: string): Promise<void> {
    if (!(await this.look(wait))) return;
    const { tenant, run } = wait;
    await this.#context.store.apply([{ tenant, timers: [{ op: 'clear', run, name: timer }] }]);
  }

  /**
   * Gives the wait its event, where there is one; `last`: there will be no other look, so what was published and not
   * routed yet is looked through too. False = the feed has not come as far as the run yet: look again later.
   */
  async look({ tenant, run, opened }: WaitKey, last = false): Promise<boolean> {
    const { store } = this.#context;
    const [[first], [row]] = await Promise.all([
      store.readEvents({ tenant, stream: run, after: 0, limit: 1 }),
      store.readEvents({ tenant, stream: run, after: opened - 1, limit: 1 }),
    ]);
    if (first === undefined || row === undefined) return true;
    if (first.position === 0) return false;
    const { event } = readRunEvent(row);
    const birth = readRunEvent(first).event;
    if (event.type !== 'wait.opened' || event.data.on.kind !== 'event' || birth.type !== 'run.started') return true;
    if (last) await this.#index(tenant, event.data.on.topic);
    await this.#lookThrough(tenant, run, event, event.data.on, birth.data.trigger, first.position);
    return true;
  }

  async #lookThrough(
    tenant: string,
    run: string,
    opened: Opened,
    on: EventOn,
    trigger: RunTrigger | null,
    position: number,
  ): Promise<void> {
    const [[field, text] = ['', '']] = Object.entries(on.match);
    const space = indexSpace(on.topic);
    const key = indexKey(field, text);
    let after = orderedText(position);
    for (;;) {
      const entries = await this.#context.store.readEntries({
        tenant,
        space,
        key,
        after: { key, ref: after },
        limit: pageEntries,
      });
      for (const entry of entries) {
        const value = indexValueOf(entry);
        // The event that has started the run is its input, and nothing that it waits for.
        if (trigger?.topic === on.topic && trigger.eventId === value.id) continue;
        if (!matches(on.match, value.fields)) continue;
        const outcome = await this.#give(tenant, run, opened, on.topic, entry);
        if (outcome.tag === 'error') throw outcome.error;
        // `already`: another wait of the run has it.
        if (outcome.tag !== 'already') return;
      }
      const last = entries.at(-1);
      if (last === undefined || entries.length < pageEntries) return;
      after = last.ref;
    }
  }

  async #give(
    tenant: string,
    run: string,
    { seq, data: { path } }: Opened,
    topic: string,
    entry: EntryRow,
  ): Promise<JobOutcome> {
    const { partition, offset, id } = indexValueOf(entry);
    const [row] = await this.#context.store.readEvents({
      tenant,
      stream: topicStream(topic, partition),
      after: offset - 1,
      limit: 1,
    });
    // Nothing of it is left but its entry.
    if (row === undefined || row.seq !== offset) return { tag: 'already', head: 0 };
    const envelope = parseEnvelope(row.envelope);
    const event: TopicEventRef = {
      topic,
      partition,
      offset,
      id,
      at: row.at,
      ...writtenUnder(topic, envelope.schema),
    };
    return this.#lanes.submit({
      key: runKey(tenant, run),
      tenant,
      run,
      commands: [{ op: 'giveEvent', path, opened: seq, event, data: payloadOf(envelope, row.payload) }],
      actor: 'engine',
      worker: '',
      lease: null,
    });
  }
}

const pageEntries = 100;
