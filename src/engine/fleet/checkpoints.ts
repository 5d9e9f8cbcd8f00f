/**
 * The chain of checkpoints: events of the topic `eventspine.fleet` of the installation, each with the sums at a later position
 * than the one before.
 *
 * Invariant: positions rise with offsets. A checkpoint is written only by whoever knows the last one (a guarded entry), so
 * that two servers which both believe to have the duty leave one chain.
 */
import type { FleetCheckpoint } from '../../core/fleet/checkpoint.js';
import { jsonOf, payloadOfJson } from '../../core/codec.js';
import { fleetTopic } from '../../core/manifest.js';
import { isBlobPayload } from '../../core/payload.js';
import { topicStream, type EntryRow, type EventRow, type Transition } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { parseEnvelope, payloadOf } from '../events/envelope-writer.js';
import type { Catalog } from '../intake/catalog.js';
import { lowWrite, readLow } from '../topics/low-water.js';
import { preparePublication } from '../topics/publication.js';
import { systemTenant } from '../system-tenant.js';

/** A checkpoint with its place in the chain. */
export interface KeptCheckpoint {
  readonly offset: number;
  readonly checkpoint: FleetCheckpoint;
}

/** Where the chain ends: the guard of who goes on with it. */
export interface ChainEnd {
  readonly entry: string | null;
  readonly last: KeptCheckpoint | null;
}

const endSpace = 'fleet-checkpoint';
const droppedAtOnce = 4;
const stream = topicStream(fleetTopic.name, 0);

export class Checkpoints {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;

  constructor(context: EngineContext, catalog: Catalog) {
    this.#context = context;
    this.#catalog = catalog;
  }

  async end(): Promise<ChainEnd> {
    const { store } = this.#context;
    const [entry]: (EntryRow | undefined)[] = await store.readEntries({
      tenant: systemTenant,
      space: endSpace,
      limit: 1,
    });
    return { entry: entry?.value ?? null, last: entry === undefined ? null : await this.at((await this.#head()) - 1) };
  }

  /** Adds a checkpoint, and drops some that are older than `keptMs`; null = another server has been quicker. */
  async add(checkpoint: FleetCheckpoint, expected: string | null, keptMs: number): Promise<string | null> {
    const { store } = this.#context;
    const at = store.now();
    const id = `position-${checkpoint.position}`;
    const { name } = fleetTopic;
    const event = {
      topic: name,
      id,
      source: 'fleet',
      type: name,
      key: 'fleet',
      data: payloadOfJson(checkpoint),
      value: checkpoint,
    };
    const cause = { tenant: systemTenant, actor: 'engine', cause: null, correlation: null, traceparent: null };
    const { write, blobs } = preparePublication(this.#context, this.#catalog, event, cause, at);
    const entry = { space: endSpace, key: name, ref: '', value: String(checkpoint.position), run: '', at };
    const dropped = await this.#outlived(at - keptMs, at);
    const [outcome] = await store.apply([
      {
        tenant: systemTenant,
        publishes: [write],
        blobs,
        entries: [{ op: 'put', ...entry, expected }, ...dropped.entries],
        trims: dropped.trims,
      },
    ]);
    return outcome?.tag === 'applied' ? entry.value : null;
  }

  /** The checkpoint at an offset, or the next that is kept; null = there is none. */
  async at(offset: number): Promise<KeptCheckpoint | null> {
    const query = { tenant: systemTenant, stream, after: offset - 1, limit: 1 };
    const [row] = await this.#context.store.readEvents(query);
    return row === undefined ? null : { offset: row.seq, checkpoint: await this.#read(row) };
  }

  /** The last checkpoint of which `isBefore` holds; what it holds of must be the first ones. Null = it holds of none. */
  async last(isBefore: (checkpoint: FleetCheckpoint) => boolean): Promise<KeptCheckpoint | null> {
    const oldest = await this.at(0);
    if (oldest === null || !isBefore(oldest.checkpoint)) return null;
    let found = oldest;
    let above = await this.#head();
    while (found.offset + 1 < above) {
      const middle = await this.at(Math.floor((found.offset + 1 + above) / 2));
      if (middle !== null && middle.offset < above && isBefore(middle.checkpoint)) found = middle;
      else above = Math.floor((found.offset + 1 + above) / 2);
    }
    return found;
  }

  /** More than one for each that comes, so that there are fewer in the end; the last always stays. */
  async #outlived(before: number, now: number): Promise<Required<Pick<Transition, 'entries' | 'trims'>>> {
    const { store } = this.#context;
    const rows = await store.readEvents({ tenant: systemTenant, stream, after: -1, limit: droppedAtOnce + 1 });
    const gone = rows.slice(0, -1).filter((row) => row.at < before);
    const last = gone.at(-1);
    if (last === undefined) return { entries: [], trims: [] };
    const at = { tenant: systemTenant, topic: fleetTopic.name, partition: 0 };
    const low = await readLow(store, at);
    return {
      entries: [lowWrite(at, low, { ...low.low, low: last.seq + 1 }, now)],
      trims: [{ topic: at.topic, partition: 0, offsets: gone.map(({ seq }) => seq) }],
    };
  }

  async #head(): Promise<number> {
    const heads = await this.#context.store.listTopics(systemTenant);
    return heads.find(({ topic }) => topic === fleetTopic.name)?.head ?? 0;
  }

  async #read(row: EventRow): Promise<FleetCheckpoint> {
    const payload = payloadOf(parseEnvelope(row.envelope), row.payload);
    if (payload === null) throw new Error('Invariant broken: a checkpoint without sums');
    if (!isBlobPayload(payload)) return jsonOf(payload) as FleetCheckpoint;
    const bytes = await this.#context.store.readBlob(row.tenant, payload.blob);
    if (bytes === null) throw new Error(`Invariant broken: blob ${payload.blob} of a checkpoint is gone`);
    return jsonOf({ codec: payload.codec, text: new TextDecoder().decode(bytes) }) as FleetCheckpoint;
  }
}
