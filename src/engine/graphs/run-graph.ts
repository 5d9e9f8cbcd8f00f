/**
 * One run of a graph as this server knows it: its progress, and where the values lie that its nodes read. Fed with events as
 * they are committed; what was missed is read from the store.
 */
import { decodeValue } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { inputRoot } from '../../core/graph/graph.js';
import {
  applyGraphEvent,
  failureAt,
  graphProgress,
  resultOf,
  type GraphProgress,
  type NodeProgress,
} from '../../core/graph/progress.js';
import { readGraph } from '../../core/graph/stored-graph.js';
import { mirrorLabel } from '../../core/labels.js';
import { limits } from '../../core/limits.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { RunEvent } from '../../core/run/events.js';
import type { Store } from '../../store/contract.js';
import { readRunEvent } from '../events/rows.js';

export class RunGraph {
  readonly tenant: string;
  readonly run: string;
  /** `seq` of the last event that was taken in. */
  head = 0;
  /** Text that is kept of payloads. */
  bytes = 0;
  /** Null before `graph.started`. */
  progress: GraphProgress | null = null;
  ended = false;
  /** It only mirrors what was done elsewhere. */
  isMirror = false;
  /** `seq` of the newest event that was heard of. */
  #heard = 0;
  /** Payloads that are small enough to be kept, by `seq`. */
  readonly #payloads = new Map<number, Payload>();
  /** Decoded values of roots, as long as they are wanted. */
  #values = new Map<string, unknown>();

  constructor(tenant: string, run: string) {
    this.tenant = tenant;
    this.run = run;
  }

  /** Events were committed. Those that leave a gap are not taken in: `catchUp` reads what is between. */
  feed(events: readonly RunEvent[]): void {
    for (const event of events) {
      this.#heard = Math.max(this.#heard, event.seq);
      if (event.seq === this.head + 1) this.#take(event);
    }
  }

  #take(event: RunEvent): void {
    this.head = event.seq;
    const { payload } = event;
    if (event.type === 'run.started') this.isMirror = event.data.labels?.[mirrorLabel] !== undefined;
    if (event.type === 'graph.started') this.progress = graphProgress(readGraph(payload));
    else if (this.progress !== null) applyGraphEvent(this.progress, event);
    if (event.type === 'run.redriven') {
      this.ended = false;
      this.#values.clear();
    } else if (endTypes.has(event.type)) this.ended = true;
    if (payload !== undefined && (event.type === 'run.started' || event.type === 'call.completed'))
      this.#keep(event.seq, payload);
  }

  #keep(seq: number, payload: Payload): void {
    const size = isBlobPayload(payload) ? payload.blob.length : payload.text.length;
    if (this.bytes + size > limits.graphRunBytesMax) return;
    this.#payloads.set(seq, payload);
    this.bytes += size;
  }

  /** Reads what was missed; `toEnd`: also what nobody here has heard of. */
  async catchUp(store: Store, toEnd: boolean): Promise<void> {
    while (toEnd || this.#heard > this.head) {
      const limit = limits.pageItemsMax;
      const rows = await store.readEvents({ tenant: this.tenant, stream: this.run, after: this.head, limit });
      for (const row of rows) if (row.seq === this.head + 1) this.#take(readRunEvent(row).event);
      if (rows.length < limit) return;
    }
  }

  /** The values of these roots; those that are no longer asked for are let go. Fails with BLOB_NOT_FOUND. */
  async values(store: Store, roots: ReadonlySet<string>): Promise<ReadonlyMap<string, unknown>> {
    const { progress } = this;
    const before = this.#values;
    const values = new Map<string, unknown>();
    for (const root of roots) {
      if (before.has(root)) values.set(root, before.get(root));
      else if (root === inputRoot) values.set(root, await this.#decoded(store, 1));
      else {
        const at = progress?.nodes.get(root);
        if (at !== undefined) values.set(root, await this.#resultOf(store, at));
      }
    }
    this.#values = values;
    return values;
  }

  async #resultOf(store: Store, at: NodeProgress): Promise<unknown> {
    const { map } = at.node;
    if (map === undefined) return this.#decoded(store, resultOf(at, at.node.name)?.resultSeq ?? 0);
    const calls = [...at.calls].filter(([, { status }]) => status !== 'forgotten');
    const seqs = calls.flatMap(([path]) => resultOf(at, path)?.resultSeq ?? []);
    const payloads = await this.#payloadsAt(store, seqs);
    const results: unknown[] = [];
    for (const [path] of calls) {
      const seq = resultOf(at, path)?.resultSeq;
      const payload = seq === undefined ? null : (payloads.get(seq) ?? null);
      if (map.onError === 'throw') results.push(payload === null ? undefined : await this.#decode(store, payload));
      else if (payload !== null) results.push({ status: 'fulfilled', value: await this.#decode(store, payload) });
      else results.push({ status: 'rejected', reason: reasonOf(at, path) });
    }
    return results;
  }

  async #payloadsAt(store: Store, seqs: readonly number[]): Promise<Map<number, Payload>> {
    const found = new Map<number, Payload>();
    const missing: number[] = [];
    for (const seq of seqs) {
      const kept = this.#payloads.get(seq);
      if (kept === undefined) missing.push(seq);
      else found.set(seq, kept);
    }
    missing.sort((a, b) => a - b);
    // In pages: what is between is not worth a question for each.
    for (let i = 0; i < missing.length; ) {
      const rows = await store.readEvents({
        tenant: this.tenant,
        stream: this.run,
        after: (missing[i] ?? 1) - 1,
        limit: missing.length === 1 ? 1 : limits.pageItemsMax,
      });
      const last = rows.at(-1)?.seq;
      if (last === undefined) break;
      for (const row of rows) {
        const { payload } = readRunEvent(row).event;
        if (payload !== undefined) found.set(row.seq, payload);
      }
      while (i < missing.length && (missing[i] ?? 0) <= last) i += 1;
    }
    return found;
  }

  /** The payload of an event as it lies there. */
  async payload(store: Store, seq: number): Promise<Payload> {
    return (await this.#payloadsAt(store, [seq])).get(seq) ?? nothing;
  }

  async #decoded(store: Store, seq: number): Promise<unknown> {
    return this.#decode(store, await this.payload(store, seq));
  }

  async #decode(store: Store, payload: Payload): Promise<unknown> {
    if (!isBlobPayload(payload)) return decodeValue(payload);
    const bytes = await store.readBlob(this.tenant, payload.blob);
    if (bytes === null) throw new SpineError('BLOB_NOT_FOUND', { blob: payload.blob });
    return decodeValue({ codec: payload.codec, text: new TextDecoder().decode(bytes) });
  }

  /** `seq` of the event that holds the whole value of a root. */
  seqOfRoot(root: string): number {
    if (root === inputRoot) return 1;
    const at = this.progress?.nodes.get(root);
    return at === undefined ? 0 : (resultOf(at, root)?.resultSeq ?? 0);
  }

  /** `seq` of the event with the input of the call at `path` of a node. */
  seqOfInput(node: string, path: string): number {
    return this.progress?.nodes.get(node)?.calls.get(path)?.inputSeq ?? 0;
  }
}

const endTypes: ReadonlySet<string> = new Set([
  'run.succeeded',
  'run.failed',
  'run.cancelled',
  'run.refused',
] satisfies RunEvent['type'][]);

const nothing: Payload = { codec: 'json/1', text: 'null' };

/** Why an item of a map that settles has failed, as those see it who come after. */
function reasonOf(
  at: NodeProgress,
  path: string,
): { readonly class: string; readonly code: string; readonly message: string } {
  const found = failureAt(at, path);
  return { class: found?.class ?? 'unknown', code: found?.code ?? 'UNKNOWN', message: found?.message ?? '' };
}
