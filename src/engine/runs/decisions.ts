/**
 * The answer to "why": every inference of a run with what was asked, of which model, by which way an answer came about or
 * did not, and what it cost. Made of the events of the run and of nothing else.
 */
import { isoOf } from '../../core/instant.js';
import { isBlobPayload } from '../../core/payload.js';
import type { RunEvent } from '../../core/run/events.js';
import { hopOf, saysShut, shutFailureOf, type InferenceGrant } from '../../core/run/inference.js';
import type { DecisionView, EventReference } from '../../protocol/http.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Found {
  readonly view: Mutable<DecisionView>;
  grant: InferenceGrant | null;
}

/** The inferences of a run, in the order in which they were asked for. */
export function decisionsOf(run: string, events: readonly RunEvent[]): DecisionView[] {
  const found = new Map<string, Found>();
  for (const event of events) note(run, found, event, events);
  return [...found.values()].map(({ view }) => view);
}

function note(run: string, all: Map<string, Found>, event: RunEvent, events: readonly RunEvent[]): void {
  if (event.type === 'inference.requested') return request(run, all, event);
  if (event.type === 'decision.recorded' && event.data.by !== undefined) return instead(run, all, event, events);
  if (event.type === 'run.redriven') {
    for (const path of event.data.paths) all.delete(path);
    return;
  }
  if (event.type === 'tool.judged') return verdict(run, all, event);
  if (!isOfInference(event)) return;
  const found = all.get(event.data.path);
  if (found === undefined) return;
  const { view } = found;
  switch (event.type) {
    case 'inference.admitted':
      granted(found, event.data.grant);
      view.status = 'admitted';
      break;
    case 'inference.begun':
      view.status = 'begun';
      break;
    case 'inference.identified':
      view.providerId = event.data.providerId;
      break;
    case 'inference.ambiguous':
      view.ambiguous = [...view.ambiguous, { attempt: event.data.attempt, policy: event.data.policy }];
      break;
    case 'inference.due':
      view.status = 'due';
      break;
    case 'inference.retrying':
    case 'inference.failed': {
      const { attempt, failure, remedy, costMicros } = event.data;
      const isOver = event.type === 'inference.failed';
      view.status = isOver ? 'failed' : 'retrying';
      // That its endpoint is shut was said with the request.
      if (!saysShut(failure) || found.grant !== null)
        view.hops = [...view.hops, hopOf(attempt, found.grant, failure, remedy)];
      view.costMicros += costMicros;
      view.failure = isOver ? { class: failure.class, code: failure.code, message: failure.message } : null;
      break;
    }
    case 'inference.completed': {
      const { finish, usage, costMicros, durationMs, firstPartMs, providerId } = event.data;
      Object.assign(view, { status: 'completed', finish, usage, latencyMs: durationMs, firstPartMs, providerId });
      view.costMicros += costMicros;
      view.output = referenceOf(run, event);
      break;
    }
    case 'decision.recorded': {
      // With those of the models that were asked before in the same chain.
      const { confidence, alternatives, rules, hops, cached } = event.data;
      Object.assign(view, { confidence, alternatives, rules, hops });
      if (cached === undefined) break;
      const { model, version, arm, endpoint } = event.data;
      Object.assign(view, { model, version, arm, endpoint, cached: { ...cached, at: isoOf(cached.at) } });
      break;
    }
  }
}

function request(
  run: string,
  all: Map<string, Found>,
  event: Extract<RunEvent, { type: 'inference.requested' }>,
): void {
  const { path, attempt, model, fingerprint, policy, version = null, shut, prompt = null, grant } = event.data;
  const before = all.get(path)?.view;
  const view: Mutable<DecisionView> = {
    path,
    status: shut !== undefined ? 'retrying' : grant === null ? 'held' : 'begun',
    attempt,
    at: before?.at ?? isoOf(event.at),
    model,
    version,
    arm: null,
    endpoint: shut?.endpoint ?? null,
    fingerprint,
    policy,
    input: referenceOf(run, event),
    output: null,
    providerId: null,
    finish: null,
    usage: null,
    costMicros: before?.costMicros ?? 0,
    latencyMs: null,
    firstPartMs: null,
    hops: [
      ...(before?.hops ?? []),
      ...(shut === undefined ? [] : [hopOf(attempt, { version: version ?? '', ...shut }, shutFailureOf(shut))]),
    ],
    ambiguous: before?.ambiguous ?? [],
    confidence: null,
    alternatives: [],
    rules: [],
    prompt,
    cached: null,
    by: null,
    comment: null,
    failure: null,
  };
  const found: Found = { view, grant };
  if (grant !== null) granted(found, grant);
  all.set(path, found);
}

/** What a rule or a person has decided, since no model had an answer. */
function instead(
  run: string,
  all: Map<string, Found>,
  { at, data }: Extract<RunEvent, { type: 'decision.recorded' }>,
  events: readonly RunEvent[],
): void {
  const {
    path,
    attempt,
    model,
    arm,
    fingerprint,
    finish,
    hops,
    rules,
    prompt = null,
    by = null,
    comment = null,
  } = data;
  const eventAt = (seq: number): EventReference => {
    const event = events[seq - 1];
    return event === undefined ? { seq, event: `${run}/${seq}`, blob: null } : referenceOf(run, event);
  };
  const view: DecisionView = {
    path,
    status: 'completed',
    attempt,
    at: isoOf(at),
    model,
    version: null,
    arm,
    endpoint: null,
    fingerprint,
    policy: [],
    input: eventAt(data.input),
    output: eventAt(data.output),
    providerId: null,
    finish,
    usage: null,
    costMicros: 0,
    latencyMs: null,
    firstPartMs: null,
    hops,
    ambiguous: [],
    confidence: null,
    alternatives: [],
    rules,
    prompt,
    cached: null,
    by,
    comment,
    failure: null,
  };
  all.set(path, { view, grant: null });
}

/** A call is asked for by the answer that came last where its work is. */
function verdict(
  run: string,
  all: ReadonlyMap<string, Found>,
  { seq, data }: Extract<RunEvent, { type: 'tool.judged' }>,
): void {
  const { of, tool, verdict, rule, why = null, taint } = data;
  const parent = of.slice(0, Math.max(0, of.lastIndexOf('/')));
  const answers = [...all.values()].filter(
    ({ view: { path, output } }) => output !== null && (path === parent || path.startsWith(`${parent}/`)),
  );
  const last = answers.sort((a, b) => (a.view.output?.seq ?? 0) - (b.view.output?.seq ?? 0)).at(-1);
  if (last === undefined) return;
  const judged = { tool, verdict, rule, why, taint, event: `${run}/${seq}` };
  last.view.tools = [...(last.view.tools ?? []), judged];
}

function granted(found: Found, grant: InferenceGrant): void {
  found.grant = grant;
  const { version, arm, endpoint } = grant;
  Object.assign(found.view, { version, arm, endpoint });
}

function referenceOf(run: string, { seq, payload }: RunEvent): EventReference {
  const blob = payload !== undefined && isBlobPayload(payload) ? { hash: payload.blob, size: payload.size } : null;
  return { seq, event: `${run}/${seq}`, blob };
}

type OfInference = Exclude<
  Extract<RunEvent, { type: `inference.${string}` | 'decision.recorded' }>,
  { type: 'inference.requested' }
>;

function isOfInference(event: RunEvent): event is OfInference {
  return event.type === 'decision.recorded' || event.type.startsWith('inference.');
}
