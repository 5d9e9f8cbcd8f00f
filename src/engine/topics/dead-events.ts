/**
 * Dead events: what was given up on and no run stands for. Whoever moves past such an event adds `deadEventWrites` to the
 * transition that does so. Here they are listed, sent back to where they came from, or given up for good.
 *
 * Invariant: a dead event is open until one transition takes it off the list and does what it is taken off for; of two who
 * try at the same time the slower changes nothing.
 */
import { payloadOfJson, jsonOf } from '../../core/codec.js';
import { isSpineError, SpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { deadEventsTopic } from '../../core/manifest.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import { deadEventSpace, type DeadEvent, type DeadEventRecord } from '../../core/topics/dead-event.js';
import { utf8Length } from '../../core/utf8.js';
import type { DeadEventDetail, DeadEventView, PageView } from '../../protocol/http.js';
import type { EntryRow, EntryWrite, TopicEventWrite, Transition } from '../../store/contract.js';
import type { CommandOutcome, Origin } from '../api.js';
import type { EngineContext } from '../context.js';
import { withBirths, type RunBirth } from '../intake/birth.js';
import type { Catalog } from '../intake/catalog.js';
import type { CommitAnswer } from '../runs/committer.js';
import type { Lanes } from '../runs/lanes.js';
import { preparePublication, type TopicCause } from './publication.js';

/** What is added to a transition; of its births, `withBirths` makes writes, and `Lanes.bear` tells of them. */
export type AddedWrites = Required<Pick<Transition, 'publishes' | 'dedupe' | 'entries' | 'blobs'>> & {
  readonly births: readonly RunBirth[];
};

/** The transition with further writes added to it. */
export function withAdded(transition: Transition, added: readonly AddedWrites[]): Transition {
  if (added.length === 0) return transition;
  const { dedupe = [], publishes = [], entries = [], blobs = [] } = transition;
  const whole: Transition = {
    ...transition,
    dedupe: [...dedupe, ...added.flatMap((one) => one.dedupe)],
    publishes: [...publishes, ...added.flatMap((one) => one.publishes)],
    entries: [...entries, ...added.flatMap((one) => one.entries)],
    blobs: [...blobs, ...added.flatMap((one) => one.blobs)],
  };
  return withBirths(
    whole,
    added.flatMap((one) => one.births),
  );
}

/** Where a dead event is written from. */
export interface DeadEventScope {
  readonly context: EngineContext;
  readonly catalog: Catalog;
}

/**
 * What the death of an event writes: an event of the topic `eventspine.dead-events` with the data as it came, an open entry,
 * and, where `mirror` names a topic, an event of that one. A mirror topic that is not there or does not take the data is
 * left out with a warning: it never holds up a death.
 */
export function deadEventWrites(
  scope: DeadEventScope,
  record: DeadEventRecord,
  { tenant, actor, mirror }: { readonly tenant: string; readonly actor: string; readonly mirror: string | null },
): AddedWrites {
  const { context, catalog } = scope;
  const at = context.store.now();
  const dead = boundedOf(record, newId('deadEvent', context.ports), at);
  const cause: TopicCause = {
    tenant,
    actor,
    cause: dead.event.id,
    correlation: null,
    traceparent: null,
  };
  const told = preparePublication(
    context,
    catalog,
    { ...deathEvent(dead), topic: deadEventsTopic.name, type: deadEventsTopic.name, value: null },
    cause,
    at,
  );
  const mirrored = mirror === null ? null : mirrorOf(scope, dead, mirror, cause);
  const value = JSON.stringify({ ...dead, data: storedData(dead.data, told.write) } satisfies DeadEvent);
  return {
    publishes: [told.write, ...(mirrored === null ? [] : [mirrored.write])],
    dedupe: [],
    entries: [{ op: 'put', space: deadEventSpace, key: dead.id, ref: '', value, run: '', at, expected: null }],
    blobs: [...told.blobs, ...(mirrored?.blobs ?? [])],
    births: mirrored?.births ?? [],
  };
}

/** What came from outside may be of any size. */
function boundedOf(record: DeadEventRecord, id: string, at: number): DeadEvent {
  const short = (text: string | null): string | null => text?.slice(0, limits.keyLengthMax) ?? null;
  const { event } = record;
  return {
    ...record,
    code: record.code.slice(0, limits.nameLengthMax),
    message: record.message.slice(0, limits.errorMessageLengthMax),
    event: {
      id: short(event.id),
      type: short(event.type),
      source: short(event.source),
      key: short(event.key),
      attributes: fitting(event.attributes, keptAttributeBytesMax),
    },
    id,
    at,
  };
}

/** Data that is too large for a row lies in the blob that the event of the death refers to. */
function storedData(data: Payload | null, { payload }: TopicEventWrite): Payload | null {
  if (data === null || isBlobPayload(data) || payload === null || !('blob' in payload)) return data;
  return { codec: data.codec, blob: payload.blob, size: utf8Length(data.text) };
}

/** The event of a death, apart from the topic that it goes to: data as it came, and what became of it as attributes. */
function deathEvent(dead: DeadEvent) {
  const { id, source, data, event } = dead;
  return {
    id,
    source,
    ...(event.key === null || event.key === '' ? {} : { key: event.key }),
    attributes: deathAttributes(dead),
    data,
  };
}

function deathAttributes({ position, code, message, attempts, event, ...dead }: DeadEvent) {
  const own: Record<string, string | number> = {
    deadclass: dead.class,
    deadcode: code,
    deadmessage: message,
    deadattempts: attempts,
    ...(position === null
      ? {}
      : { deadtopic: position.topic, deadpartition: position.partition, deadoffset: position.offset }),
    ...(event.id === null ? {} : { deadid: event.id }),
    ...(event.source === null ? {} : { deadsource: event.source }),
    ...(event.type === null ? {} : { deadtype: event.type }),
  };
  return { ...fitting(event.attributes, toldAttributeBytesMax), ...own };
}

/** The attributes that fit, in their order. */
function fitting(attributes: DeadEvent['event']['attributes'], bytesMax: number) {
  let left = bytesMax;
  const kept: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(attributes)) {
    const size = utf8Length(JSON.stringify([name, value]));
    if (size > left || reserved.has(name)) continue;
    left -= size;
    kept[name] = value;
  }
  return kept;
}

/** Attributes of events that have a place of their own. */
const reserved: ReadonlySet<string> = new Set(['id', 'source', 'type', 'specversion', 'time', 'data', 'data_base64']);
/** Of those that the event came with: in the event of the death, which has to fit an envelope, and in the entry. */
const toldAttributeBytesMax = 2_048;
const keptAttributeBytesMax = 8_192;

/**
 * The event of a mirror topic. null = the topic is not there or does not take the data; that is told in the log and holds up
 * nothing.
 */
export function mirrorOf({ context, catalog }: DeadEventScope, dead: DeadEvent, topic: string, cause: TopicCause) {
  const { data, event } = dead;
  try {
    const value = data === null || isBlobPayload(data) ? null : jsonOf(data);
    return preparePublication(
      context,
      catalog,
      { ...deathEvent(dead), topic, type: event.type ?? topic, value },
      cause,
      dead.at,
    );
  } catch (error) {
    if (!isSpineError(error)) throw error;
    context.log({
      level: 'warn',
      message: 'a topic that was to be told of a dead event could not be',
      fields: { topic, deadEvent: dead.id, code: error.code, reason: error.message },
    });
    return null;
  }
}

/** Which dead events to list. */
export interface DeadEventFilter {
  /** `subscription:<name>` or `bridge:<name>`. */
  readonly source?: string;
  readonly class?: string;
}

/** What sends a dead event back; null = it did not come from here. Throws a SpineError where it cannot be. */
export type Redriver = (origin: Origin, dead: DeadEvent) => Promise<AddedWrites | null>;

export class DeadEvents {
  readonly #scope: DeadEventScope;
  readonly #lanes: Pick<Lanes, 'bear'>;
  readonly #redrivers: Redriver[] = [];

  constructor(scope: DeadEventScope, lanes: Pick<Lanes, 'bear'>) {
    this.#scope = scope;
    this.#lanes = lanes;
  }

  /** Adds a way back. The first that answers is taken. */
  onRedrive(redriver: Redriver): void {
    this.#redrivers.push(redriver);
  }

  /** Open ones, oldest first; a page may be shorter than asked for where few match. */
  async list(
    tenant: string,
    query: DeadEventFilter & { readonly cursor?: string; readonly limit?: number },
  ): Promise<PageView<DeadEventView>> {
    const { store } = this.#scope.context;
    const limit = Math.min(query.limit ?? limits.pageItemsDefault, limits.pageItemsMax);
    const items: DeadEventView[] = [];
    let after = query.cursor ?? '';
    for (let looked = 0; looked < scanMax; looked += limits.pageItemsMax) {
      const rows = await store.readEntries({
        tenant,
        space: deadEventSpace,
        after: { key: after, ref: '' },
        limit: limits.pageItemsMax,
      });
      for (const row of rows) {
        const dead = JSON.parse(row.value) as DeadEvent;
        after = row.key;
        if (isMeant(dead, query)) items.push(viewOf(dead));
        if (items.length === limit) return { items, next: after };
      }
      if (rows.length < limits.pageItemsMax) return { items, next: null };
    }
    return { items, next: after };
  }

  async read(tenant: string, id: string): Promise<DeadEventDetail | null> {
    const row = await this.#rowOf(tenant, id);
    if (row === null) return null;
    const dead = JSON.parse(row.value) as DeadEvent;
    return { ...viewOf(dead), attributes: dead.event.attributes, ...dataOf(tenant, dead.data) };
  }

  /** Sends it back to where it came from. DEAD_EVENT_NOT_FOUND, DEAD_EVENT_NOT_REDRIVABLE, and what its way back refuses it for. */
  async redrive(origin: Origin, id: string, reason: string | null): Promise<CommandOutcome> {
    const row = await this.#rowOf(origin.tenant, id);
    if (row === null) return notFound(id);
    try {
      return await this.#sendBack(origin, row, reason);
    } catch (error) {
      return { tag: 'error', error: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  /** What it goes back to may be moved by others all the time: after a conflict the way back is asked for anew. */
  async #sendBack(origin: Origin, row: EntryRow, reason: string | null): Promise<CommandOutcome> {
    const dead = JSON.parse(row.value) as DeadEvent;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const back = await this.#wayBack(origin, dead);
      if (back === null) {
        const where = `"${dead.source}" is not there any more`;
        throw new SpineError('DEAD_EVENT_NOT_REDRIVABLE', { id: dead.id, reason: where });
      }
      const outcome = await this.#settle(origin, row, 'redriven', reason, [back]);
      // It is where it was to go already: it only leaves the list.
      if (outcome === 'duplicate') return this.#leave(origin, row, 'redriven', reason);
      if (outcome !== 'conflict') return outcome;
    }
    throw new SpineError('STORE_BUSY', {});
  }

  /** Gives it up for good. DEAD_EVENT_NOT_FOUND. */
  async discard(origin: Origin, id: string, reason: string | null): Promise<CommandOutcome> {
    const row = await this.#rowOf(origin.tenant, id);
    return row === null ? notFound(id) : this.#leave(origin, row, 'discarded', reason);
  }

  async #leave(
    origin: Origin,
    row: EntryRow,
    what: 'redriven' | 'discarded',
    reason: string | null,
  ): Promise<CommandOutcome> {
    const outcome = await this.#settle(origin, row, what, reason, []);
    return typeof outcome === 'string' ? { tag: 'error', error: new SpineError('STORE_BUSY', {}) } : outcome;
  }

  async #wayBack(origin: Origin, dead: DeadEvent): Promise<AddedWrites | null> {
    for (const redriver of this.#redrivers) {
      const back = await redriver(origin, dead);
      if (back !== null) return back;
    }
    return null;
  }

  async #settle(
    origin: Origin,
    row: EntryRow,
    what: 'redriven' | 'discarded',
    reason: string | null,
    added: readonly AddedWrites[],
  ): Promise<CommandOutcome | 'duplicate' | 'conflict'> {
    const drop: EntryWrite = { op: 'drop', space: row.space, key: row.key, ref: row.ref, expected: row.value };
    const told = this.#tell(origin, row.key, what, reason);
    const transition = withAdded({ tenant: origin.tenant, entries: [drop] }, [told, ...added]);
    const births = added.flatMap((one) => one.births);
    const answer = await new Promise<CommitAnswer>((settle) =>
      this.#lanes.bear({ births, transition, actor: origin.actor, settle }),
    );
    switch (answer.tag) {
      case 'applied':
        return { tag: 'done' };
      case 'duplicate':
        return 'duplicate';
      case 'conflict':
        return (await this.#rowOf(origin.tenant, row.key)) === null ? { tag: 'already' } : 'conflict';
      case 'unstorable':
        return { tag: 'error', error: new SpineError('VALUE_UNSTORABLE', { path: '$', reason: answer.reason }) };
      case 'failed':
        return { tag: 'error', error: answer.error instanceof Error ? answer.error : new Error(String(answer.error)) };
      case 'fenced':
        throw new Error('Invariant broken: a transition without a lease was fenced');
    }
  }

  #tell(origin: Origin, id: string, what: 'redriven' | 'discarded', reason: string | null): AddedWrites {
    const { context, catalog } = this.#scope;
    const value = { id, by: origin.actor, reason: reason?.slice(0, limits.errorMessageLengthMax) ?? null };
    const { tenant, actor, correlation, traceparent } = origin;
    const { write, blobs, births } = preparePublication(
      context,
      catalog,
      {
        topic: deadEventsTopic.name,
        id: newId('event', context.ports),
        source: 'eventspine/dead-events',
        type: `${deadEventsTopic.name}.${what}`,
        key: id,
        data: payloadOfJson(value),
        value,
      },
      { tenant, actor, cause: id, correlation, traceparent },
      context.store.now(),
    );
    return { publishes: [write], dedupe: [], entries: [], blobs, births };
  }

  async #rowOf(tenant: string, id: string): Promise<EntryRow | null> {
    const { store } = this.#scope.context;
    const [row] = await store.readEntries({ tenant, space: deadEventSpace, key: id, limit: 1 });
    return row ?? null;
  }
}

function notFound(id: string): CommandOutcome {
  return { tag: 'error', error: new SpineError('DEAD_EVENT_NOT_FOUND', { id: id.slice(0, limits.nameLengthMax) }) };
}

function isMeant(dead: DeadEvent, filter: DeadEventFilter): boolean {
  if (filter.source !== undefined && dead.source !== filter.source) return false;
  return filter.class === undefined || dead.class === filter.class;
}

function viewOf({ id, source, position, code, message, attempts, event, at, ...dead }: DeadEvent): DeadEventView {
  return {
    id,
    source,
    topic: position?.topic ?? null,
    partition: position?.partition ?? null,
    offset: position?.offset ?? null,
    event: { id: event.id, type: event.type, source: event.source, key: event.key },
    class: dead.class,
    code,
    message,
    attempts,
    at: isoOf(at),
  };
}

function dataOf(tenant: string, data: Payload | null): Pick<DeadEventDetail, 'data' | 'dataref'> {
  if (data === null) return {};
  return isBlobPayload(data) ? { dataref: `/v1/blobs/${tenant}/${data.blob}` } : { data: jsonOf(data) };
}

/** Of several that move what a dead event goes back to, one gets through with each attempt. */
const attemptsMax = 20;
/** Open ones that one request looks at. */
const scanMax = 5_000;
