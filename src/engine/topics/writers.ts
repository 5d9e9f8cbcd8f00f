/**
 * Topics with a single writer: who writes is said by an epoch that rises with each takeover. An event is taken where the
 * entry of the writer is, at its commit, what it was found to be: a takeover that commits before it refuses it.
 *
 * Invariant (P22): in the order of commits, the epochs of the events of a topic never fall.
 */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { topicWriterSpace, type TopicWriter } from '../../core/topics/writer.js';
import type { EntryKey, EntryWrite } from '../../store/contract.js';
import type { Origin } from '../api.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { readEntry } from './cursors.js';
import type { PublicationGuard } from './publication-guard.js';

export class Writers {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  /** The texts of entries as they were last read, by tenant and topic: who publishes again and again asks once. */
  readonly #known = new Map<string, string>();
  #fenced = 0;

  constructor(context: EngineContext, catalog: Catalog) {
    this.#context = context;
    this.#catalog = catalog;
  }

  /** Events that were refused here because of their epoch. */
  get fenced(): number {
    return this.#fenced;
  }

  /** Begins a new epoch of the topic. TOPIC_UNKNOWN, and INPUT_INVALID where the topic has no single writer. */
  async takeOver(origin: Origin, topic: string): Promise<TopicWriter> {
    this.#assertSingle(topic);
    const { store } = this.#context;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const before = await readEntry(store, origin.tenant, placeOf(topic));
      const held = before === null ? null : (JSON.parse(before.value) as TopicWriter);
      const by = origin.actor.slice(0, limits.keyLengthMax);
      const writer: TopicWriter = { epoch: (held?.epoch ?? 0) + 1, by, at: store.now() };
      const value = JSON.stringify(writer);
      const entry = { op: 'put', ...placeOf(topic), value, run: '', at: writer.at } as const;
      const [outcome] = await store.apply([
        { tenant: origin.tenant, entries: [{ ...entry, expected: before?.value ?? null }] },
      ]);
      if (outcome?.tag !== 'applied') continue;
      this.#known.delete(nameOf(origin.tenant, topic));
      return writer;
    }
    throw new SpineError('STORE_BUSY', {});
  }

  /** null = nobody has taken it over yet. TOPIC_UNKNOWN, INPUT_INVALID. */
  async read(tenant: string, topic: string): Promise<TopicWriter | null> {
    this.#assertSingle(topic);
    const row = await readEntry(this.#context.store, tenant, placeOf(topic));
    return row === null ? null : (JSON.parse(row.value) as TopicWriter);
  }

  /** What lets an event of the epoch into the topic, and no other. WRITER_FENCED. */
  async guard(tenant: string, topic: string, epoch: number): Promise<PublicationGuard> {
    const name = nameOf(tenant, topic);
    let text = this.#known.get(name);
    if (text === undefined || epochOf(text) !== epoch) text = await this.#ask(tenant, topic, name);
    const held = text === undefined ? 0 : epochOf(text);
    if (text === undefined || held !== epoch) {
      this.#fenced += 1;
      throw new SpineError('WRITER_FENCED', { topic, epoch, held });
    }
    const entry: EntryWrite = {
      op: 'put',
      ...placeOf(topic),
      value: text,
      run: '',
      at: this.#context.store.now(),
      expected: text,
    };
    return { entries: [entry], refused: () => this.#known.delete(name) };
  }

  async #ask(tenant: string, topic: string, name: string): Promise<string | undefined> {
    const row = await readEntry(this.#context.store, tenant, placeOf(topic));
    if (row === null) return undefined;
    if (this.#known.size >= knownMax) this.#known.clear();
    this.#known.set(name, row.value);
    return row.value;
  }

  #assertSingle(topic: string): void {
    const entry = this.#catalog.topic(topic);
    if (entry === null) throw new SpineError('TOPIC_UNKNOWN', { name: topic, known: this.#catalog.topicNames() });
    if (entry.manifest.writer === 'single') return;
    throw new SpineError('INPUT_INVALID', { name: topic, faults: ['the topic is not declared with writer: "single"'] });
  }
}

function placeOf(topic: string): EntryKey {
  return { space: topicWriterSpace, key: topic, ref: '' };
}

function epochOf(text: string): number {
  return (JSON.parse(text) as TopicWriter).epoch;
}

function nameOf(tenant: string, topic: string): string {
  return `${tenant}\0${topic}`;
}

const attemptsMax = 20;
const knownMax = 10_000;
