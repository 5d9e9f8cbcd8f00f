/** The reading side of the engine: runs, histories, results, lists, topics. Reads never wait for lanes. */
import { schemaUri } from '../../core/schema/schema-id.js';
import { SpineError } from '../../core/errors.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { decodeValue } from '../../core/codec.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { RunEvent } from '../../core/run/events.js';
import { exportedHistoryFormat, type ExportedHistory } from '../../core/run/exported-history.js';
import { waitingTickets } from '../../core/run/tickets.js';
import { foldRun, isEnded, workflowQueue, type RunRow, type RunState, type RunStatus } from '../../core/run/state.js';
import type {
  DecisionView,
  LimitWait,
  PageView,
  RunEventView,
  RunSummary,
  RunFold,
  RunViewState,
  TopicEventView,
} from '../../protocol/http.js';
import { topicStream, type EventRow, type TaskRow } from '../../store/contract.js';
import type { RunFilter, RunResult, TopicPage } from '../api.js';
import { gapBefore } from '../topics/low-water.js';
import type { EngineContext } from '../context.js';
import { parseEnvelope, payloadOf } from '../events/envelope-writer.js';
import { readRunEvent, type StoredRunEvent } from '../events/rows.js';
import type { Catalog } from '../intake/catalog.js';
import { decisionsOf } from './decisions.js';
import { storedEventView } from './event-view.js';
import type { PlainValue } from './lanes.js';
import { eventsUpTo, pastView, type RunMoment } from './past.js';
import { runView, summaryOf, viewState } from './views.js';

/** What a ticket that waits is waiting for; null = nobody can say. */
type ExplainTicket = (
  ticket: { readonly tenant: string; readonly ref: string },
  value: string,
) => Promise<LimitWait | null>;

/** Tickets of one run that are explained; the others are only said to wait. */
const explainedMax = 10;

export class Reads {
  readonly #context: EngineContext;
  readonly #plain: PlainValue;
  readonly #isServed: (queue: string) => Promise<boolean>;
  readonly #catalog: Pick<Catalog, 'workflow' | 'hasGraphs'>;

  readonly #explain: ExplainTicket;

  /** `isServed` knows whether a connected worker serves a queue, `explain` what a ticket waits for. */
  constructor(
    context: EngineContext,
    plain: PlainValue,
    isServed: (queue: string) => Promise<boolean>,
    explain: ExplainTicket,
    catalog: Pick<Catalog, 'workflow' | 'hasGraphs'>,
  ) {
    this.#explain = explain;
    this.#catalog = catalog;
    this.#context = context;
    this.#plain = plain;
    this.#isServed = isServed;
  }

  async run(tenant: string, run: string): Promise<RunFold | null> {
    const { store } = this.#context;
    const row = await store.readRun(tenant, run);
    if (row === null) return null;
    const [events, tasks] = await Promise.all([this.#history(tenant, run), store.readTasks(tenant, run)]);
    const state = foldRun(
      tenant,
      run,
      events.map((stored) => stored.event),
    );
    const waits = await Promise.all(
      (isEnded(state.status) ? [] : waitingTickets(state)).slice(0, explainedMax).map(async ({ path, entry }) => {
        const wait = await this.#explain({ tenant, ref: entry.ref }, entry.value);
        return wait === null ? [] : [[path, wait] as const];
      }),
    );
    // The row may be older than the history by a commit; the fold is the truth of both.
    const served = isEnded(state.status) ? null : await this.#isServed(workflowQueue(state.workflow, state.version));
    return runView({ ...row, ...rowFields(state, row) }, state, {
      tasks,
      progress: this.#lastProgress(events),
      served,
      limits: new Map(waits.flat()),
      unservedQueues: await this.#unserved(tasks),
    });
  }

  /** A run as it was at one of its events. Rejects with RUN_EVENT_NOT_FOUND where the moment is before or behind them all. */
  async runAt(tenant: string, run: string, moment: RunMoment): Promise<RunFold | null> {
    const events = await this.#past(tenant, run, moment);
    if (events === null) return null;
    const state = foldRun(
      tenant,
      run,
      events.map(({ event }) => event),
    );
    return pastView(state, this.#lastProgress(events));
  }

  async #past(tenant: string, run: string, moment: RunMoment): Promise<StoredRunEvent[] | null> {
    const all = await this.#history(tenant, run);
    const last = all.at(-1);
    if (last === undefined) return null;
    const cut = eventsUpTo(
      all.map(({ event }) => event),
      moment,
    ).length;
    if (cut === 0 || ('seq' in moment && moment.seq > last.event.seq))
      throw new SpineError('RUN_EVENT_NOT_FOUND', { run, events: last.event.seq });
    return all.slice(0, cut);
  }

  /** A run as the engine has it. */
  async fold(tenant: string, run: string): Promise<RunState | null> {
    if ((await this.#context.store.readRun(tenant, run)) === null) return null;
    const events = await this.#history(tenant, run);
    return foldRun(
      tenant,
      run,
      events.map(({ event }) => event),
    );
  }

  /** Queues of these calls that no connected worker serves. What is leased is at work, connected or not. */
  async #unserved(tasks: readonly TaskRow[]): Promise<ReadonlySet<string>> {
    const waiting = new Set(
      tasks.filter(({ kind, state }) => kind === 'call' && state === 'ready').map(({ queue }) => queue),
    );
    const unserved = new Set<string>();
    for (const queue of waiting) if (!(await this.#isServed(queue))) unserved.add(queue);
    return unserved;
  }

  /** The state of a run in the words of users. */
  async state(tenant: string, run: string): Promise<RunViewState | null> {
    const row = await this.#context.store.readRun(tenant, run);
    return row === null ? null : this.#stateOf(row);
  }

  /** The run, or the last of those that it goes on in; null = one of them is no longer there. */
  async latest(tenant: string, run: string): Promise<RunRow | null> {
    const { store } = this.#context;
    let row = await store.readRun(tenant, run);
    for (let i = 0; i < chainMax && row?.status === 'continued'; i++) {
      const event = await this.event(tenant, row.run, row.head);
      if (event?.type !== 'run.continued') return null;
      row = await store.readRun(tenant, event.data.next);
    }
    return row;
  }

  async event(tenant: string, run: string, seq: number): Promise<RunEvent | null> {
    const [row] = await this.#context.store.readEvents({ tenant, stream: run, after: seq - 1, limit: 1 });
    return row === undefined ? null : readRunEvent(row).event;
  }

  /** Of a run that goes on in others, the result of the last. */
  async result(tenant: string, run: string): Promise<RunResult | null> {
    const row = await this.latest(tenant, run);
    if (row === null) return null;
    if (!isEnded(row.status)) return { state: 'pending', now: await this.#stateOf(row) };
    const event = await this.event(tenant, row.run, row.head);
    if (event === null) return null;
    switch (event.type) {
      case 'run.succeeded':
        return { state: 'succeeded', output: event.payload ?? nothing };
      case 'run.refused':
        return { state: 'refused', code: event.data.code, data: event.payload ?? null };
      case 'run.cancelled':
        return { state: 'cancelled', reason: event.data.reason };
      case 'run.failed': {
        const { class: failureClass, code, message } = event.data.failure;
        return { state: 'failed', failure: { class: failureClass, code, message } };
      }
      default:
        // Redriven between the two reads.
        return { state: 'pending', now: (await this.state(tenant, row.run)) ?? 'queued' };
    }
  }

  async history(
    tenant: string,
    run: string,
    query: { readonly after: number; readonly limit: number },
  ): Promise<RunEventView[] | null> {
    const { store } = this.#context;
    const rows = await store.readEvents({
      tenant,
      stream: run,
      after: query.after,
      limit: Math.min(query.limit, limits.pageItemsMax),
    });
    if (rows.length === 0 && (await store.readRun(tenant, run)) === null) return null;
    return rows.map((row) => storedEventView(readRunEvent(row), this.#plain));
  }

  async decisions(tenant: string, run: string, moment: RunMoment | null): Promise<DecisionView[] | null> {
    const stored = moment === null ? await this.#history(tenant, run) : await this.#past(tenant, run, moment);
    if (stored === null || stored.length === 0) return null;
    return decisionsOf(
      run,
      stored.map(({ event }) => event),
    );
  }

  async exported(tenant: string, run: string): Promise<ExportedHistory | null> {
    const events = (await this.#history(tenant, run)).map((stored) => stored.event);
    if (events.length === 0) return null;
    const blobs: Record<string, string> = {};
    let bytesLeft = limits.exportBlobBytesMax;
    for (const { payload } of events) {
      if (payload === undefined || !isBlobPayload(payload) || Object.hasOwn(blobs, payload.blob)) continue;
      bytesLeft -= payload.size;
      const bytes = bytesLeft < 0 ? null : await this.#context.store.readBlob(tenant, payload.blob);
      if (bytes !== null) blobs[payload.blob] = new TextDecoder().decode(bytes);
    }
    return { format: exportedHistoryFormat, tenant, run, events, blobs };
  }

  async list(tenant: string, filter: RunFilter): Promise<PageView<RunSummary>> {
    const { states, ...rest } = filter;
    const statuses =
      states === undefined
        ? undefined
        : [...new Set(states.flatMap((state) => statusesOf(state, this.#catalog.hasGraphs)))];
    const page = await this.#context.store.listRuns({
      tenant,
      limit: Math.min(rest.limit ?? limits.pageItemsDefault, limits.pageItemsMax),
      ...(statuses === undefined ? {} : { statuses }),
      ...(rest.workflow === undefined ? {} : { workflow: rest.workflow }),
      ...(rest.version === undefined ? {} : { version: rest.version }),
      ...(rest.failureClass === undefined ? {} : { failureClass: rest.failureClass }),
      ...(rest.label === undefined ? {} : { label: rest.label }),
      ...(rest.startedFrom === undefined ? {} : { startedFrom: rest.startedFrom }),
      ...(rest.startedBefore === undefined ? {} : { startedBefore: rest.startedBefore }),
      ...(rest.order === undefined ? {} : { order: rest.order }),
      ...(rest.cursor === undefined ? {} : { cursor: rest.cursor }),
    });
    const items = await Promise.all(page.items.map(async (row) => summaryOf(row, await this.#stateOf(row))));
    // Several shown states share a stored status; a page may therefore be shorter than asked for.
    return {
      items: states === undefined ? items : items.filter((item) => states.includes(item.state)),
      next: page.next,
    };
  }

  async topic(
    tenant: string,
    topic: string,
    { partition, after, limit }: { readonly partition: number; readonly after: number; readonly limit: number },
  ): Promise<TopicPage> {
    const { store } = this.#context;
    const rows = await store.readEvents({
      tenant,
      stream: topicStream(topic, partition),
      after,
      limit: Math.min(limit, limits.pageItemsMax),
    });
    return {
      items: rows.map((row) => this.#topicEvent(topic, partition, row)),
      gap: await gapBefore(store, { tenant, topic, partition }, after, rows[0]?.seq ?? null),
    };
  }

  /** An event with its data, also where that is kept as a blob, unless it is very large. */
  async wholeTopicEvent(topic: string, partition: number, row: EventRow): Promise<TopicEventView['event']> {
    const payload = payloadOf(parseEnvelope(row.envelope), row.payload);
    const { event } = this.#topicEvent(topic, partition, row);
    if (payload === null || !isBlobPayload(payload) || payload.size > limits.payloadBytesMax) return event;
    const bytes = await this.#context.store.readBlob(row.tenant, payload.blob);
    if (bytes === null) return event;
    const { dataref: _dataref, ...rest } = event;
    const inline: Payload = { codec: payload.codec, text: new TextDecoder().decode(bytes) };
    return { ...rest, ...this.#cloudEventData(row.tenant, inline) };
  }

  #topicEvent(topic: string, partition: number, row: EventRow): TopicEventView {
    const envelope = parseEnvelope(row.envelope);
    const payload = payloadOf(envelope, row.payload);
    const data = payload === null ? {} : this.#cloudEventData(row.tenant, payload);
    const { source, ...attributes } = envelope.attributes ?? {};
    return {
      topic,
      partition,
      offset: row.seq,
      key: (envelope.data as { readonly key?: string } | null)?.key ?? null,
      hlc: envelope.hlc,
      event: {
        specversion: '1.0',
        id: envelope.id,
        source: source ?? 'eventspine',
        type: row.type,
        time: isoOf(row.at),
        ...(envelope.schema === null ? {} : { dataschema: schemaUri(envelope.schema) }),
        ...attributes,
        ...data,
      },
    };
  }

  /** CloudEvents have one member for JSON and another for bytes; what is too large to show is referred to. */
  #cloudEventData(tenant: string, payload: Payload): Readonly<Record<string, unknown>> {
    if (isBlobPayload(payload)) return { dataref: `/v1/blobs/${tenant}/${payload.blob}` };
    return decodeValue(payload) instanceof Uint8Array
      ? { data_base64: this.#plain(payload) }
      : { data: this.#plain(payload) };
  }

  async #stateOf(row: RunRow): Promise<RunViewState> {
    if (isEnded(row.status)) return viewState(row, null, false);
    const isGraph = this.#catalog.workflow(row.workflow)?.manifest.graph !== undefined;
    const tasks: TaskRow[] =
      row.status === 'active' || isGraph ? await this.#context.store.readTasks(row.tenant, row.run) : [];
    return viewState(row, tasks.find((task) => task.kind === 'activation') ?? null, false, isGraph ? tasks : []);
  }

  async #history(tenant: string, run: string): Promise<StoredRunEvent[]> {
    const [rows] = await this.#context.store.readHistories([{ tenant, run }]);
    return (rows ?? []).map(readRunEvent);
  }

  #lastProgress(events: readonly StoredRunEvent[]): unknown {
    const last = events.findLast((stored) => stored.event.type === 'progress.reported');
    const payload = last?.event.payload;
    return payload === undefined || 'blob' in payload ? null : this.#plain(payload);
  }
}

/** Runs that go on in others are followed so far; a longer chain is taken for one that has not ended. */
const chainMax = 10_000;

const nothing: Payload = { codec: 'json/1', text: 'null' };

function rowFields(state: RunState, row: RunRow): Partial<RunRow> {
  return state.head >= row.head
    ? {
        version: state.version,
        status: state.status,
        head: state.head,
        updatedAt: state.updatedAt,
        cancelRequested: state.cancel !== null,
      }
    : {};
}

/** The stored statuses behind a shown state. */
function statusesOf(state: RunViewState, hasGraphs: boolean): readonly RunStatus[] {
  switch (state) {
    case 'queued':
    case 'running':
      // Nobody holds a graph: its row says that it waits while its nodes are at work.
      return hasGraphs ? ['active', 'waiting'] : ['active'];
    case 'waiting':
    case 'retrying':
    case 'cancelling':
      return ['active', 'waiting'];
    default:
      return [state];
  }
}
