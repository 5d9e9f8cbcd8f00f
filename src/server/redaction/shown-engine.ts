/**
 * An engine as somebody without all clearances sees it: the same, except that what it answers is redacted by what the apps
 * in force have tagged. It is the one seam of redaction. Handlers, event streams and sockets are given such an engine and
 * cannot show what it does not give them, so that nothing is redacted in any of them.
 *
 * Invariant: every member of `Engine` is either in the list of those that answer nothing of a user's, or is redacted here; a
 * new one does not compile before somebody has said which.
 */
import { jsonOf, payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import type { Manifest } from '../../core/manifest.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { Declarations } from '../../core/redaction/declared.js';
import type { Shape } from '../../core/redaction/shape.js';
import { hiddenOf, redacted, redactedText, type Clearance } from '../../core/redaction/tags.js';
import { isRecord } from '../../core/schema/schema-text.js';
import type { Engine, RunResult, RunStreamHandlers } from '../../engine/api.js';
import { decodeUtf8 } from '../../protocol/json-body.js';
import type {
  ApprovalDetail,
  ApprovalView,
  DeadEventDetail,
  DeadEventView,
  DeadLetterDetail,
  DeadLetterView,
  RunEventView,
  RunSummary,
  ScheduleView,
} from '../../protocol/http.js';
import { RunLens } from './run-lens.js';
import type { RunNames } from './run-names.js';
import { shownPulledEvent, shownTopicEvent } from './topic-lens.js';

/** Members whose answers hold nothing that users have put into runs and events. */
const passed = {
  start: true,
  stop: true,
  now: true,
  secret: true,
  register: true,
  deploy: true,
  holdDuty: true,
  startRuns: true,
  publish: true,
  startWithin: true,
  publishWithin: true,
  cancel: true,
  redrive: true,
  migrate: true,
  discard: true,
  signal: true,
  tellAgent: true,
  listAgents: true,
  redriveDeadLetter: true,
  sayOfApproval: true,
  putSchedule: true,
  pauseSchedule: true,
  resumeSchedule: true,
  removeSchedule: true,
  triggerSchedule: true,
  listSubscriptions: true,
  readSubscription: true,
  removeSubscription: true,
  ackEvents: true,
  nackEvents: true,
  renewEvents: true,
  leaveSubscription: true,
  endPulls: true,
  subscriptionFacts: true,
  pauseSubscription: true,
  resumeSubscription: true,
  seekSubscription: true,
  replaySubscription: true,
  editDeadLetter: true,
  correctDeadLetter: true,
  redriveDeadEvent: true,
  discardDeadEvent: true,
  listBridges: true,
  bridgeFacts: true,
  seekBridge: true,
  readRedrive: true,
  listRedrives: true,
  cancelRedrive: true,
  offsetAt: true,
  listTopics: true,
  takeOverTopic: true,
  readTopicWriter: true,
  listSources: true,
  topicFacts: true,
  fleet: true,
  queues: true,
  workers: true,
  tally: true,
  readTriage: true,
  changeTriage: true,
  listModels: true,
  readModel: true,
  changeModel: true,
  modelReport: true,
  modelEvents: true,
  reportOutcome: true,
  inferences: true,
  readCache: true,
  clearCache: true,
  predictions: true,
  remedies: true,
  listLimits: true,
  readLimit: true,
  putLimit: true,
  resetLimit: true,
  listKeys: true,
  readKey: true,
  createKey: true,
  rotateKey: true,
  revokeKey: true,
  keyOf: true,
  keyUsed: true,
  limitFacts: true,
  endpointFacts: true,
  recordAccess: true,
  accessEvents: true,
  workflowOf: true,
  topicOfSubscription: true,
  listWebhookSources: true,
  readWebhookSource: true,
  putWebhookSource: true,
  removeWebhookSource: true,
  addWebhookSecret: true,
  removeWebhookSecret: true,
  webhookDoor: true,
  health: true,
  doctor: true,
  readTools: true,
  putToolOrder: true,
  dropToolOrder: true,
  waitForEnd: true,
  valueBytesMax: true,
  putBlob: true,
  connect: true,
  beatFor: true,
  submitFor: true,
  endSession: true,
} as const satisfies { readonly [K in keyof Engine]?: true };

type Passed = keyof typeof passed;

/** Who looks. */
export interface Reader {
  readonly cleared: Clearance;
  /** Runs code for the installation, and so fetches the values that it works on. */
  readonly isWorker: boolean;
}

/** What the engine of a reader needs beside the engine. */
export interface ShownEngineParts {
  readonly engine: Engine;
  readonly names: RunNames;
  /** What the apps in force declare. */
  readonly declared: () => Declarations;
}

/** The engine as the reader sees it. */
export function shownEngine(parts: ShownEngineParts, reader: Reader): Engine {
  const redacting: Omit<Engine, Passed> = new ShownEngine(parts, reader);
  return withPassed(parts.engine, redacting);
}

/** Adds what is not redacted; asked of the engine when it is called. */
function withPassed(engine: Engine, redacting: Omit<Engine, Passed>): Engine {
  const made = redacting as { -readonly [K in keyof Engine]?: Engine[K] } & Omit<Engine, Passed>;
  for (const name of Object.keys(passed) as Passed[]) {
    if (name in redacting) throw new Error(`Invariant broken: ${name} is redacted and passed`);
    Object.defineProperty(made, name, {
      enumerable: true,
      get: () => {
        const found: unknown = engine[name];
        return typeof found === 'function' ? (found.bind(engine) as unknown) : found;
      },
    });
  }
  return made as Engine;
}

class ShownEngine implements Omit<Engine, Passed> {
  readonly #engine: Engine;
  readonly #names: RunNames;
  readonly #declaredNow: () => Declarations;
  readonly #reader: Reader;
  /** The same object for the same event, so that a frame made of it serves all readers of this clearance. */
  #known: { readonly of: Declarations; readonly events: WeakMap<RunEventView, RunEventView> } | null = null;

  /** Large values that were shown in clear, those of last last. */
  readonly #blobs = new Set<string>();

  constructor({ engine, names, declared }: ShownEngineParts, reader: Reader) {
    this.#engine = engine;
    this.#names = names;
    this.#declaredNow = declared;
    this.#reader = reader;
  }

  /** What is declared where something of it is hidden from the reader; null = there is nothing to do. */
  #hiding(): Declarations | null {
    const declared = this.#declaredNow();
    return hiddenOf(declared.tags, this.#reader.cleared).length === 0 ? null : declared;
  }

  /** Tags in force that the reader lacks. */
  #hidden(declared: Declarations): readonly string[] {
    return hiddenOf(declared.tags, this.#reader.cleared);
  }

  #lens(declared: Declarations, workflow: string): RunLens {
    return new RunLens(declared, workflow, this.#reader.cleared);
  }

  /** How the reader sees a run; null = there is none. */
  async #lensOf(declared: Declarations, tenant: string, run: string): Promise<RunLens | null> {
    const workflow = await this.#names.workflowOf(tenant, run);
    return workflow === null ? null : this.#lens(declared, workflow);
  }

  /** @throws CLEARANCE_NEEDED */
  #refuse(declared: Declarations, what: string): never {
    throw new SpineError('CLEARANCE_NEEDED', { what, tags: this.#hidden(declared) });
  }

  definitions: Engine['definitions'] = () => {
    const declared = this.#hiding();
    const manifests = this.#engine.definitions();
    return declared === null ? manifests : manifests.map((one) => this.#manifest(declared, one));
  };

  currentDefinitions: Engine['currentDefinitions'] = async () => {
    await this.#engine.currentDefinitions();
    return this.definitions();
  };

  /** A manifest holds no values but the inputs of its schedules. */
  #manifest(declared: Declarations, manifest: Manifest): Manifest {
    if (manifest.schedules === undefined) return manifest;
    const schedules = manifest.schedules.map((one) => ({
      ...one,
      spec: { ...one.spec, input: this.#text(declared.workflow(one.spec.workflow).input, one.spec.input) },
    }));
    return { ...manifest, schedules };
  }

  // Runs

  readRun: Engine['readRun'] = async (tenant, run, moment) => {
    const view = await this.#engine.readRun(tenant, run, moment);
    const declared = this.#hiding();
    return view === null || declared === null ? view : this.#lens(declared, view.workflow).fold(view);
  };

  listRuns: Engine['listRuns'] = async (tenant, filter) => {
    const page = await this.#engine.listRuns(tenant, filter);
    const declared = this.#hiding();
    if (declared === null) return page;
    const shown = (one: RunSummary): RunSummary => {
      const failure = this.#lens(declared, one.workflow).failure(one.failure);
      return failure === one.failure ? one : { ...one, failure };
    };
    return { ...page, items: page.items.map(shown) };
  };

  readResult: Engine['readResult'] = async (tenant, run) => {
    const result = await this.#engine.readResult(tenant, run);
    const declared = this.#hiding();
    if (result === null || declared === null || result.state === 'pending') return result;
    const lens = await this.#lensOf(declared, tenant, run);
    return lens === null ? null : this.#result(tenant, lens, result);
  };

  async #result(tenant: string, lens: RunLens, result: RunResult): Promise<RunResult> {
    switch (result.state) {
      case 'succeeded':
        return { ...result, output: await this.#payload(tenant, lens.shapes.output, result.output) };
      case 'failed':
        return { ...result, failure: lens.failure(result.failure) };
      case 'refused':
        return result.data === null
          ? result
          : { ...result, data: await this.#payload(tenant, lens.shapes.refusal, result.data) };
      case 'cancelled':
        return { ...result, reason: lens.reason(result.reason) };
      case 'pending':
        return result;
    }
  }

  readHistory: Engine['readHistory'] = async (tenant, run, query) => {
    const events = await this.#engine.readHistory(tenant, run, query);
    const declared = this.#hiding();
    if (events === null || declared === null || events.length === 0) return events;
    const lens = await this.#lensOf(declared, tenant, run);
    if (lens === null) return null;
    if (!lens.isClear && events.some(needsCalls)) await this.#noteCalls(lens, tenant, run);
    return events.map((event) => this.#event(tenant, lens, event));
  };

  readDecisions: Engine['readDecisions'] = async (tenant, run, moment) => {
    const views = await this.#engine.readDecisions(tenant, run, moment);
    const declared = this.#hiding();
    if (views === null || declared === null) return views;
    const lens = await this.#lensOf(declared, tenant, run);
    if (lens === null) return null;
    return views.map((view) => {
      const shown = lens.decision(view);
      for (const { blob } of [shown.input, ...(shown.output === null ? [] : [shown.output])])
        if (blob !== null) this.#give(tenant, blob.hash);
      return shown;
    });
  };

  /** A replay needs all of it, so there is no half of it. */
  exportHistory: Engine['exportHistory'] = async (tenant, run) => {
    const declared = this.#hiding();
    const lens = declared === null ? null : await this.#lensOf(declared, tenant, run);
    if (lens !== null && !lens.isClear)
      throw new SpineError('CLEARANCE_NEEDED', { what: 'the export of this run', tags: lens.hidden });
    return this.#engine.exportHistory(tenant, run);
  };

  follow: Engine['follow'] = async (tenant, run, after, handlers) => {
    const declared = this.#hiding();
    // Later events may be of definitions that tag something, so the stream looks again with each batch.
    const workflow = declared === null ? null : await this.#names.workflowOf(tenant, run);
    const first = declared === null || workflow === null ? null : this.#lens(declared, workflow);
    if (first !== null && !first.isClear && after > 0) await this.#noteCalls(first, tenant, run);
    return this.#engine.follow(tenant, run, after, this.#shownHandlers(tenant, workflow, first, handlers));
  };

  #shownHandlers(
    tenant: string,
    workflow: string | null,
    first: RunLens | null,
    handlers: RunStreamHandlers,
  ): RunStreamHandlers {
    let lens = first;
    let name = workflow;
    return {
      ...handlers,
      onEvents: (events, state) => {
        name ??= workflowStarted(events);
        const declared = this.#hiding();
        if (declared === null) return handlers.onEvents(events, state);
        if (lens?.declared !== declared) lens = this.#lens(declared, name ?? '');
        const seen = lens;
        return handlers.onEvents(
          events.map((event) => this.#event(tenant, seen, event)),
          state,
        );
      },
    };
  }

  #event(tenant: string, lens: RunLens, event: RunEventView): RunEventView {
    const shown = lens.isClear ? event : this.#redacted(lens, event);
    if (shown.blob !== undefined) this.#give(tenant, shown.blob.hash);
    return shown;
  }

  #redacted(lens: RunLens, event: RunEventView): RunEventView {
    if (this.#known?.of !== lens.declared) this.#known = { of: lens.declared, events: new WeakMap() };
    const { events } = this.#known;
    lens.note(event);
    const known = events.get(event);
    if (known !== undefined) return known;
    const made = lens.event(event);
    // What a call has answered can be told only by who knows of which capability it is.
    if (!needsCalls(event) || knowsCalls(lens, event)) events.set(event, made);
    return made;
  }

  /** Which capability each call of the run so far is of. */
  async #noteCalls(lens: RunLens, tenant: string, run: string): Promise<void> {
    const view = await this.#engine.readRun(tenant, run);
    for (const { path, capability } of view?.steps ?? []) if (capability !== undefined) lens.noteCall(path, capability);
  }

  // Agents, approvals, schedules

  readAgent: Engine['readAgent'] = async (tenant, agent, key) => {
    const view = await this.#engine.readAgent(tenant, agent, key);
    const declared = this.#hiding();
    if (view === null || declared === null) return view;
    const lens = this.#lens(declared, agent);
    return { ...view, state: lens.value(lens.shapes.output, view.state) };
  };

  readAnswer: Engine['readAnswer'] = async (tenant, message, ms) => {
    const answer = await this.#engine.readAnswer(tenant, message, ms);
    const declared = this.#hiding();
    if (declared === null || answer.tag === 'pending') return answer;
    const lens = this.#lens(declared, message.agent);
    if (answer.tag === 'failed') return { ...answer, failure: lens.failure(answer.failure) };
    return { ...answer, data: await this.#payload(tenant, lens.shapes.output, answer.data) };
  };

  listApprovals: Engine['listApprovals'] = async (tenant, query) => {
    const page = await this.#engine.listApprovals(tenant, query);
    const declared = this.#hiding();
    return declared === null ? page : { ...page, items: page.items.map((one) => this.#approval(declared, one)) };
  };

  readApproval: Engine['readApproval'] = async (tenant, id) => {
    const view = await this.#engine.readApproval(tenant, id);
    const declared = this.#hiding();
    if (view === null || declared === null) return view;
    const lens = this.#lens(declared, view.workflow);
    if (lens.isClear || lens.shapes.showsAt(view.path)) return view;
    const hide = (value: unknown): unknown => (value === null ? null : lens.unknown(value));
    const notes = view.notes.map((note) => ({
      ...note,
      ...(note.text === undefined ? {} : { text: lens.text(note.text) }),
      ...('form' in note ? { form: hide(note.form) } : {}),
    }));
    const shown: ApprovalDetail = { ...view, show: hide(view.show), form: hide(view.form), notes };
    return this.#approval(declared, shown);
  };

  #approval<T extends ApprovalView>(declared: Declarations, view: T): T {
    const lens = this.#lens(declared, view.workflow);
    return lens.isClear ? view : { ...view, title: lens.textAt(view.path, view.title) };
  }

  readSchedule: Engine['readSchedule'] = async (tenant, name) => {
    const view = await this.#engine.readSchedule(tenant, name);
    const declared = this.#hiding();
    return view === null || declared === null ? view : this.#schedule(declared, view);
  };

  listSchedules: Engine['listSchedules'] = async (tenant, query) => {
    const page = await this.#engine.listSchedules(tenant, query);
    const declared = this.#hiding();
    return declared === null ? page : { ...page, items: page.items.map((one) => this.#schedule(declared, one)) };
  };

  #schedule(declared: Declarations, view: ScheduleView): ScheduleView {
    return { ...view, input: declared.workflow(view.start).input.shown(view.input, this.#reader.cleared) };
  }

  // What has failed

  listDeadLetters: Engine['listDeadLetters'] = async (tenant, query) => {
    this.#checkSearch(query.text);
    const page = await this.#engine.listDeadLetters(tenant, query);
    const declared = this.#hiding();
    return declared === null ? page : { ...page, items: page.items.map((one) => this.#letter(declared, one)) };
  };

  countDeadLetters: Engine['countDeadLetters'] = async (tenant, filter) => {
    this.#checkSearch(filter.text);
    return this.#engine.countDeadLetters(tenant, filter);
  };

  beginRedrive: Engine['beginRedrive'] = async (origin, request) => {
    this.#checkSearch(request.filter.text);
    return this.#engine.beginRedrive(origin, request);
  };

  /** Who may ask whether a text is in what is hidden can find out what is hidden. @throws CLEARANCE_NEEDED */
  #checkSearch(text: string | undefined): void {
    const declared = text === undefined ? null : this.#hiding();
    if (declared !== null) this.#refuse(declared, 'a search in the messages of failures');
  }

  readDeadLetter: Engine['readDeadLetter'] = async (tenant, id) => {
    const view = await this.#engine.readDeadLetter(tenant, id);
    const declared = this.#hiding();
    if (view === null || declared === null) return view;
    const lens = this.#lens(declared, view.workflow);
    if (lens.isClear) return view;
    const trail = view.trail.map((item) => ({
      ...item,
      reason: lens.reason(item.reason),
      failure:
        item.failure === null ? null : { ...lens.failure(item.failure), reason: lens.reason(item.failure.reason) },
    }));
    const shown: DeadLetterDetail = { ...view, reason: lens.reason(view.reason), trail };
    return this.#letter(declared, shown);
  };

  #letter<T extends DeadLetterView>(declared: Declarations, view: T): T {
    const lens = this.#lens(declared, view.workflow);
    return lens.isClear ? view : { ...view, message: lens.reason(view.message) };
  }

  listDeadEvents: Engine['listDeadEvents'] = async (tenant, query) => {
    const page = await this.#engine.listDeadEvents(tenant, query);
    const declared = this.#hiding();
    return declared === null ? page : { ...page, items: page.items.map((one) => this.#deadEvent(declared, one)) };
  };

  readDeadEvent: Engine['readDeadEvent'] = async (tenant, id) => {
    const view = await this.#engine.readDeadEvent(tenant, id);
    const declared = this.#hiding();
    if (view === null || declared === null) return view;
    const { data, dataref: _elsewhere, ...rest } = this.#deadEvent<DeadEventDetail>(declared, view);
    if (data === undefined && view.dataref === undefined) return view;
    const shape = topicOfDeath(declared, view);
    if (shape?.showsAll(this.#reader.cleared) === true) return view;
    const hidden = redacted(this.#hidden(declared));
    return {
      ...rest,
      data: shape === null || view.dataref !== undefined ? hidden : shape.shown(data, this.#reader.cleared),
    };
  };

  #deadEvent<T extends DeadEventView>(declared: Declarations, view: T): T {
    const shape = topicOfDeath(declared, view);
    const tags = shape === null ? declared.tags : shape.tags;
    const hidden = hiddenOf(tags, this.#reader.cleared);
    if (hidden.length === 0) return view;
    const keyTags = shape === null ? declared.tags : declared.tagsOfKey(view.topic ?? '');
    const key =
      view.event.key === null || hiddenOf(keyTags, this.#reader.cleared).length === 0
        ? view.event.key
        : redactedText(hidden);
    return { ...view, message: redactedText(hidden), event: { ...view.event, key } };
  }

  // Topics

  readTopic: Engine['readTopic'] = async (tenant, topic, query) => {
    const page = await this.#engine.readTopic(tenant, topic, query);
    const declared = this.#hiding();
    if (declared === null) return page;
    return { ...page, items: page.items.map((one) => shownTopicEvent(one, declared, this.#reader.cleared)) };
  };

  followTopic: Engine['followTopic'] = (tenant, topic, from, handlers) =>
    this.#engine.followTopic(tenant, topic, from, {
      ...handlers,
      onEvents: (events) => {
        const declared = this.#hiding();
        return handlers.onEvents(
          declared === null ? events : events.map((one) => shownTopicEvent(one, declared, this.#reader.cleared)),
        );
      },
    });

  pullEvents: Engine['pullEvents'] = async (origin, name, request) => {
    const answer = await this.#engine.pullEvents(origin, name, request);
    const declared = this.#hiding();
    if (declared === null) return answer;
    return { ...answer, events: answer.events.map((one) => shownPulledEvent(one, declared, this.#reader.cleared)) };
  };

  putSubscription: Engine['putSubscription'] = async (origin, name, options) => {
    this.#checkFilter(options['topic'], options['filter']);
    return this.#engine.putSubscription(origin, name, options);
  };

  /** The same for endpoints, which are subscriptions. */
  get webhooks(): Engine['webhooks'] {
    const { webhooks } = this.#engine;
    return {
      list: (tenant) => webhooks.list(tenant),
      find: (tenant, name) => webhooks.find(tenant, name),
      put: async (origin, name, options) => {
        this.#checkFilter(options['topics'], options['filter']);
        return webhooks.put(origin, name, options);
      },
      remove: (origin, name) => webhooks.remove(origin, name),
      rotate: (origin, name, overlapMs) => webhooks.rotate(origin, name, overlapMs),
      disable: (origin, name, reason) => webhooks.disable(origin, name, reason),
      enable: (origin, name) => webhooks.enable(origin, name),
      use: () => webhooks.use(),
      onUse: (fn) => webhooks.onUse(fn),
      isInUse: () => webhooks.isInUse(),
    };
  }

  /** A filter over a hidden field would say what is in it. @throws CLEARANCE_NEEDED */
  #checkFilter(topics: unknown, filter: unknown): void {
    const declared = this.#hiding();
    if (declared === null) return;
    const shapes = [topics].flat().flatMap((topic) => (typeof topic === 'string' ? [declared.topic(topic)] : []));
    const asksHidden = [...fieldsOfFilter(filter)].some((path) =>
      shapes.some((shape) => hiddenOf(shape.tagsAt(path), this.#reader.cleared).length > 0),
    );
    if (asksHidden) this.#refuse(declared, 'a filter over a field that is hidden');
  }

  // Values

  /** Nobody can say which value the bytes are of, unless they were shown before. Workers fetch what they work on. */
  readBlob: Engine['readBlob'] = async (tenant, hash) => {
    const declared = this.#reader.isWorker || this.#blobs.has(blobKey(tenant, hash)) ? null : this.#hiding();
    if (declared !== null) this.#refuse(declared, 'the bytes of a large value');
    return this.#engine.readBlob(tenant, hash);
  };

  /** A payload as the reader is shown it; what is not hidden stays as it was encoded. */
  async #payload(tenant: string, shape: Shape, payload: Payload): Promise<Payload> {
    if (shape.showsAll(this.#reader.cleared)) return this.#given(tenant, payload);
    const { codec } = payload;
    if (!isBlobPayload(payload)) return { codec, text: this.#text(shape, payload.text) };
    const bytes = await this.#engine.readBlob(tenant, payload.blob);
    const text = bytes === null ? null : decodeUtf8(bytes);
    return text === null ? payload : { codec, text: this.#text(shape, text) };
  }

  /** A payload that is shown in clear. Where it lies elsewhere its bytes may be fetched from here on. */
  #given(tenant: string, payload: Payload): Payload {
    if (isBlobPayload(payload)) this.#give(tenant, payload.blob);
    return payload;
  }

  #give(tenant: string, hash: string): void {
    const key = blobKey(tenant, hash);
    this.#blobs.delete(key);
    this.#blobs.add(key);
    if (this.#blobs.size > givenMax) this.#blobs.delete(String(this.#blobs.keys().next().value));
  }

  /** An encoded value as the reader is shown it, encoded. */
  #text(shape: Shape, text: string): string {
    const value = jsonOf(text);
    const shown = shape.shown(value, this.#reader.cleared);
    return shown === value ? text : payloadOfJson(shown).text;
  }
}

/** Large values that are kept in mind as shown. */
const givenMax = 10_000;

function blobKey(tenant: string, hash: string): string {
  return `${tenant}\n${hash}`;
}

/** The workflow that the first of a run's events names. */
function workflowStarted([first]: readonly RunEventView[]): string | null {
  return first?.type === 'run.started' ? ((first.data as { readonly workflow: string }).workflow ?? null) : null;
}

function needsCalls({ type }: RunEventView): boolean {
  return type === 'call.completed' || type === 'input.edited';
}

function knowsCalls(lens: RunLens, { data }: RunEventView): boolean {
  const { path } = data as { readonly path: string | null };
  return path === null || lens.knowsCall(path);
}

/** What the data of a dead event was declared as; null = it came from a bus outside, or of a topic that engines have. */
function topicOfDeath(declared: Declarations, { source, topic }: DeadEventView): Shape | null {
  return topic !== null && source.startsWith('subscription:') ? declared.topic(topic) : null;
}

/** Paths of the fields of data that a filter looks at, of whatever form it is. */
function fieldsOfFilter(filter: unknown): Set<string> {
  const found = new Set<string>();
  const open: unknown[] = [filter];
  while (open.length > 0) {
    const next = open.pop();
    if (Array.isArray(next)) open.push(...(next as readonly unknown[]));
    else if (isRecord(next)) {
      for (const [name, inner] of Object.entries(next)) {
        if (name.startsWith('data.')) found.add(name.slice('data.'.length));
        open.push(inner);
      }
    }
  }
  return found;
}
