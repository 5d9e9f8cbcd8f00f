/**
 * The replay report: what becomes of a recorded run on the code of today. The body is replayed over its history without
 * any effect (`dry-replay.ts`), and what it asks for is compared with what is recorded.
 *
 * Where the code asks for something that is not recorded, and leaves recorded things unasked, the replay is tried again
 * with a guess: first that the recorded one was renamed, which holds as long as the code never asks for the old name; else
 * that something was added, whose result nobody knows. What a guess on an unknown result leads to is never called a break.
 */
import { encodeValue } from '../../core/codec.js';
import { exportedText, type ExportedHistory } from '../../core/run/exported-history.js';
import type { EndCommand } from '../../core/run/commands.js';
import type { RunEvent } from '../../core/run/events.js';
import type { InferenceOutcome } from '../../core/run/inference.js';
import { journalOf, type Journal, type JournalEntry } from '../../core/run/journal.js';
import { foldRun, isEnded, type RunState, type RunStatus } from '../../core/run/state.js';
import { SpineError } from '../../core/errors.js';
import { versionText } from '../../core/manifest.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { Ports } from '../../core/ports.js';
import { findWorkflow, versionsOf, type AnyApp } from '../app.js';
import type { AnyWorkflow } from '../workflow.js';
import type { AskedUnit } from './asked-unit.js';
import { dryReplay, endWord, recordedInput, type DryReplay } from './dry-replay.js';
import { isOfPath, noteEntry, startOf, type PathRecord, type UnitKind } from './path-record.js';

/** `note`: safe. `warning`: the run goes on, but look at it. `break`: the run would fail or could not go on. */
export type ReplayLevel = 'note' | 'warning' | 'break';

/** One difference between what is recorded and what the code does. `text` says it in a sentence. */
export type ReplayChange = { readonly level: ReplayLevel; readonly text: string } & (
  | { readonly kind: 'added'; readonly path: string; readonly unit: UnitKind }
  /** Recorded, and no longer asked for: left aside. */
  | { readonly kind: 'removed'; readonly path: string; readonly unit: UnitKind }
  | { readonly kind: 'renamed'; readonly path: string; readonly to: string; readonly unit: UnitKind }
  /** Another kind of thing, another capability, topic or input under the recorded path. */
  | { readonly kind: 'changed'; readonly path: string; readonly unit: UnitKind }
  /** Recorded, but what the code asks for before it has no result yet, so nobody knows. */
  | { readonly kind: 'unreached'; readonly path: string; readonly unit: UnitKind }
  /** The run comes to another end than recorded, or to an end where it waited. */
  | { readonly kind: 'end'; readonly path: null }
  /** The app does not have the workflow, or not in the version of the run, or not in its form: as a graph or with a body. */
  | { readonly kind: 'missing'; readonly path: null }
  /** The body awaits something that is not of `ctx`. */
  | { readonly kind: 'stuck'; readonly path: null }
);

/** What a replay came to. */
export interface ReplayReport {
  readonly tenant: string;
  readonly run: string;
  readonly workflow: string;
  readonly version: string | null;
  /** State of the run in the history. */
  readonly recorded: RunStatus;
  /** What the code comes to over that history; `unknown` where it could not be replayed to its end. */
  readonly now: 'succeeded' | 'failed' | 'refused' | 'continued' | 'cancelled' | 'waiting' | 'unknown';
  /** Recorded units that the code asked for again. */
  readonly matched: number;
  readonly changes: readonly ReplayChange[];
  /** `same`: no change. `compatible`: no change of level `break`. */
  readonly verdict: 'same' | 'compatible' | 'breaking';
}

/** Most guesses for one history; what is left then is reported as unreached. */
const roundsMax = 200;

/** A recorded unit with what its events say of it. */
interface Recorded {
  readonly path: string;
  readonly record: PathRecord;
  /** `seq` of the first event of the unit. */
  readonly since: number;
  readonly capability: string | null;
  readonly topic: string | null;
  readonly model: string | null;
  /** Some attempt of it was begun as an external effect. */
  readonly external: boolean;
  readonly input: Payload | null;
}

/** The state of a search: what was guessed so far and what the replay under these guesses came to. */
interface Attempt {
  /** Recorded path -> path under which the code asks for it now. */
  readonly renames: ReadonlyMap<string, string>;
  /** Paths without a record that are taken to have given nothing. */
  readonly assumed: ReadonlySet<string>;
  readonly replay: DryReplay;
}

/** Replays a history on the code of an app. Fails with HISTORY_INVALID where events or payloads are unreadable. */
export async function reportReplay(app: AnyApp, history: ExportedHistory, ports: Ports): Promise<ReplayReport> {
  const state = foldedState(history);
  const definition = findWorkflow(app, state.workflow, state.version);
  if (definition === undefined) return reportOf(history, state, 'unknown', 0, [missing(app, state)]);
  const hasGraph = definition.graph !== undefined;
  if (hasGraph !== (state.graph !== null)) return reportOf(history, state, 'unknown', 0, [otherForm(state)]);
  // A run goes on with the graph that it began with, whatever the code says now: there is nothing to replay.
  if (hasGraph) return reportOf(history, state, state.status === 'active' ? 'waiting' : state.status, 0, []);
  return await new Comparison(app, definition, history, state, ports).report();
}

function foldedState(history: ExportedHistory): RunState {
  try {
    return foldRun(history.tenant, history.run, history.events);
  } catch (error) {
    throw new SpineError('HISTORY_INVALID', { reason: 'its events do not fold to a state' }, { cause: error });
  }
}

class Comparison {
  readonly #app: AnyApp;
  readonly #definition: AnyWorkflow;
  readonly #history: ExportedHistory;
  readonly #state: RunState;
  readonly #ports: Ports;
  readonly #journal: Journal;
  readonly #recorded: ReadonlyMap<string, Recorded>;
  /** What was asked for under paths that are not recorded. */
  readonly #assumedKinds = new Map<string, UnitKind>();

  constructor(app: AnyApp, definition: AnyWorkflow, history: ExportedHistory, state: RunState, ports: Ports) {
    this.#app = app;
    this.#definition = definition;
    this.#history = history;
    this.#state = state;
    this.#ports = ports;
    this.#journal = journalOf(history.events);
    this.#recorded = recordedUnits(history.events, this.#journal);
  }

  async report(): Promise<ReplayReport> {
    const refuted = new Set<string>();
    let found = await this.#replay(new Map(), new Set());
    let complete = true;
    for (let round = 0; round < roundsMax; round++) {
      const unasked = this.#unasked(found);
      const frontier = this.#unrecordedOpen(found);
      if (found.replay.end !== null || unasked.length === 0 || frontier.length === 0) break;
      const renamed = await this.#tryRenames(found, frontier, unasked, refuted);
      const next = renamed ?? (await this.#tryAdditions(found, frontier));
      complete = next !== null;
      if (next === null) break;
      found = next;
    }
    return this.#judged(found, complete);
  }

  // ---------------------------------------------------------------- guesses

  /** Takes what is asked for as the new names of what is not, where the replay does not speak against it. */
  async #tryRenames(
    found: Attempt,
    frontier: readonly AskedUnit[],
    unasked: readonly Recorded[],
    refuted: Set<string>,
  ): Promise<Attempt | null> {
    const free = unasked.filter(({ path }) => !found.renames.has(path));
    const pairs = pairsOf(frontier, free, refuted);
    if (pairs.length === 0) return null;
    const guessed = await this.#replay(withRenames(found.renames, pairs), found.assumed);
    const held = pairs.filter(({ from }) => !guessed.replay.asked.has(from.path));
    for (const { from, to } of pairs) {
      if (guessed.replay.asked.has(from.path)) refuted.add(pairKey(from.path, to));
    }
    if (held.length === pairs.length) return guessed;
    // At least one was wrong, and may have misled the rest: again without it.
    return await this.#tryRenames(found, frontier, unasked, refuted);
  }

  /** Goes on as if what was added had given nothing. Null where the body cannot go on like that. */
  async #tryAdditions(found: Attempt, frontier: readonly AskedUnit[]): Promise<Attempt | null> {
    const fresh = frontier.filter(
      ({ path, kind }) => nothingEntry(path, kind, 0, 0) !== null && !found.assumed.has(path),
    );
    if (fresh.length === 0) return null;
    const assumed = new Set([...found.assumed, ...fresh.map((unit) => unit.path)]);
    const guessed = await this.#replay(found.renames, assumed);
    const { end } = guessed.replay;
    return end !== null && end.op !== 'succeed' && end.op !== 'endCancelled' ? null : guessed;
  }

  async #replay(renames: ReadonlyMap<string, string>, assumed: ReadonlySet<string>): Promise<Attempt> {
    const replay = await dryReplay(
      {
        ...recordedInput(this.#app, this.#history),
        workflow: this.#definition,
        version: this.#state.version,
        journal: this.#journalUnder(renames, assumed),
      },
      this.#ports,
    );
    return { renames, assumed, replay };
  }

  #journalUnder(renames: ReadonlyMap<string, string>, assumed: ReadonlySet<string>): Journal {
    if (renames.size === 0 && assumed.size === 0) return this.#journal;
    const entries = this.#journal.entries.map((entry) => renamedEntry(entry, renames));
    // What is assumed comes first of all, so that it is given as soon as it is asked for.
    const kinds = this.#assumedKinds;
    const at = this.#state.updatedAt;
    const given = [...assumed].flatMap(
      (path, i) => nothingEntry(path, kinds.get(path) ?? 'step', i / 1_000_000, at) ?? [],
    );
    return { ...this.#journal, entries: [...given, ...entries] };
  }

  #unasked({ replay, renames }: Attempt): Recorded[] {
    return [...this.#recorded.values()].filter(
      ({ path }) =>
        !replay.asked.has(renames.get(path) ?? path) &&
        !replay.asked.has(path) &&
        // Of a child that is not waited for only the start is asked for.
        !replay.asked.has(startOf(path)) &&
        !this.#isInsideEnded(path),
    );
  }

  /** Of a step that hosts others, as a program of the AI SDK or the handler of a message, only its result is asked for then. */
  #isInsideEnded(path: string): boolean {
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
      const outer = this.#recorded.get(path.slice(0, slash))?.record;
      if (outer?.kind === 'step' && outer.outcome !== null) return true;
    }
    return false;
  }

  /** What the body waits for and the history does not have. */
  #unrecordedOpen({ replay, renames, assumed }: Attempt): AskedUnit[] {
    const renamedTo = new Set(renames.values());
    const units = [...replay.open].flatMap((path) => replay.asked.get(path) ?? []);
    const unknown = units.filter(({ path }) => !this.#recorded.has(path) && !renamedTo.has(path) && !assumed.has(path));
    for (const { path, kind } of unknown) this.#assumedKinds.set(path, kind);
    return unknown;
  }

  // ---------------------------------------------------------------- judgement

  #judged(found: Attempt, complete: boolean): ReplayReport {
    const { replay, renames, assumed } = found;
    const changes: ReplayChange[] = [];
    let matched = 0;
    for (const [from, to] of renames) {
      const unit = this.#recorded.get(from);
      if (unit !== undefined && replay.asked.has(to)) changes.push(renamedChange(unit, to));
    }
    for (const asked of replay.asked.values()) {
      const unit = this.#recorded.get(asked.path);
      if (unit === undefined) continue;
      matched++;
      changes.push(...this.#differences(unit, asked));
    }
    const unasked = this.#unasked(found);
    const frontier = this.#unrecordedOpen(found);
    // Where nothing else has changed, what an unfinished run asks for is simply what comes next.
    const comesNext = !isEnded(this.#state.status) && complete && unasked.length === 0;
    for (const path of assumed) changes.push(addedChange(path, this.#assumedKinds.get(path) ?? 'step', true));
    if (replay.end === null && !comesNext) {
      for (const { path, kind } of frontier) changes.push(addedChange(path, kind, false));
    }
    for (const unit of unasked) changes.push(complete ? removedChange(unit) : unreachedChange(unit));
    const guessed = assumed.size > 0 || !complete;
    const onlyEnds = this.#state.status === 'active' && unasked.length === 0;
    if (!(onlyEnds && this.#mayEndHere(replay.end))) {
      changes.push(...this.#endChanges(replay, guessed, frontier.length > 0));
    }
    const now = !complete && replay.end === null ? 'unknown' : replay.end === null ? 'waiting' : endWord(replay.end);
    return reportOf(this.#history, this.#state, now, matched, changes);
  }

  /** Between its last result and its end a body records nothing; such an end is what comes next, and no change. */
  #mayEndHere(end: EndCommand | null): boolean {
    if (end === null || end.op !== 'fail') return end !== null && end.op !== 'abandon';
    const outcome = end.path === null ? null : this.#recorded.get(end.path)?.record.outcome;
    return outcome?.type === 'step.failed' || outcome?.type === 'call.failed';
  }

  #differences(unit: Recorded, asked: AskedUnit): ReplayChange[] {
    const { path, record } = unit;
    const changed = (level: ReplayLevel, text: string): ReplayChange[] => [
      { kind: 'changed', level, path, unit: record.kind, text },
    ];
    if (record.kind !== asked.kind) {
      return changed(
        'break',
        `"${path}" is recorded as a ${record.kind}, but the code asks for a ${asked.kind} there.`,
      );
    }
    if (unit.capability !== null && asked.capability !== undefined && unit.capability !== asked.capability) {
      const text = `Call "${path}" went to capability "${unit.capability}"; the code now names "${asked.capability}", and gets the recorded outcome.`;
      return changed('warning', text);
    }
    if (unit.model !== null && asked.model !== undefined && unit.model !== asked.model) {
      const text = `Inference "${path}" asked model "${unit.model}"; the code now names "${asked.model}", and gets the recorded answer.`;
      return changed('warning', text);
    }
    if (unit.topic !== null && asked.topic !== undefined && unit.topic !== asked.topic) {
      const text = `Event "${path}" went to topic "${unit.topic}"; the code now names "${asked.topic}", where nothing is published.`;
      return changed('warning', text);
    }
    if (asked.input !== undefined && this.#inputDiffers(unit, asked.input.text)) {
      return changed('note', `The input of "${path}" differs from the recorded one; the recorded outcome is used.`);
    }
    return [];
  }

  #inputDiffers({ input, record }: Recorded, now: string): boolean {
    if (input !== null) return exportedText(this.#history, input).text !== now;
    const { outcome } = record;
    if (outcome?.type !== 'step.completed' || outcome.payload === undefined) return false;
    // Input and result of a step are recorded as a pair of two encoded values.
    return !outcome.data.withInput || !exportedText(this.#history, outcome.payload).text.startsWith(`[${now},`);
  }

  #endChanges(replay: DryReplay, guessed: boolean, isBlocked: boolean): ReplayChange[] {
    const { end, stuck } = replay;
    const { status } = this.#state;
    const change = (level: ReplayLevel, text: string): ReplayChange[] => [{ kind: 'end', path: null, level, text }];
    if (stuck) {
      const text =
        'The body awaits a promise that is not of `ctx`, so nobody knows where it goes. Put the work behind it into ctx.step.';
      return [{ kind: 'stuck', path: null, level: 'break', text }];
    }
    if (end === null) {
      if (status !== 'succeeded' && status !== 'refused' && status !== 'continued') return [];
      return isBlocked ? [] : change('break', `The run ended (${status}); the code now waits for more.`);
    }
    if (end.op === 'fail' || end.op === 'abandon') {
      if (guessed || status === 'failed' || status === 'cancelled') return [];
      const { code, message } = end.failure;
      return change('break', `The body fails where it did not: ${code}: ${message}`);
    }
    const now = end === null ? 'waiting' : endWord(end);
    if (!isEnded(status)) return change('warning', `The run waits; the code now ends it (${now}).`);
    if (status === 'failed' || status === 'cancelled') {
      return now === status ? [] : change('note', `The run ${status}; on this code it is ${now}.`);
    }
    if (now !== status) return guessed ? [] : change('break', `The run ${status}; on this code it is ${now}.`);
    return guessed || this.#sameEnd(end) ? [] : change('warning', `The run ends with another ${outcomeWord(end)}.`);
  }

  /** A run of this history ended in the same way; whether with the same value. */
  #sameEnd(end: EndCommand): boolean {
    const last = this.#history.events.at(-1);
    if (end.op === 'succeed' && last?.type === 'run.succeeded') return this.#samePayload(last.payload, end.output);
    if (end.op === 'refuse' && last?.type === 'run.refused') {
      return last.data.code === end.code && this.#samePayload(last.payload, end.data ?? undefined);
    }
    return true;
  }

  #samePayload(recorded: Payload | undefined, now: Payload | undefined): boolean {
    if (recorded === undefined || now === undefined) return recorded === now;
    if (isBlobPayload(recorded) || isBlobPayload(now))
      return isBlobPayload(recorded) && isBlobPayload(now) && recorded.blob === now.blob;
    return recorded.text === now.text;
  }
}

// ---------------------------------------------------------------- what is recorded

function recordedUnits(events: readonly RunEvent[], journal: Journal): ReadonlyMap<string, Recorded> {
  const bySeq = new Map(events.map((event) => [event.seq, event]));
  const units = new Map<string, Recorded>();
  for (const entry of journal.entries) {
    if (!isOfPath(entry)) continue;
    const { path } = entry.data;
    const before = units.get(path);
    const record = noteEntry(before?.record, entry);
    const { type, payload } = bySeq.get(entry.seq) ?? entry;
    units.set(path, {
      path,
      record,
      since: before?.since ?? entry.seq,
      capability: entry.type === 'call.scheduled' ? entry.data.capability : (before?.capability ?? null),
      topic: entry.type === 'event.emitted' ? entry.data.topic : (before?.topic ?? null),
      external: (before?.external ?? false) || (entry.type === 'step.started' && entry.data.effect === 'external'),
      model: entry.type === 'inference.requested' ? entry.data.model : (before?.model ?? null),
      input:
        (type === 'call.scheduled' || type === 'inference.requested') && payload !== undefined
          ? payload
          : (before?.input ?? null),
    });
  }
  return units;
}

function renamedEntry(entry: JournalEntry, renames: ReadonlyMap<string, string>): JournalEntry {
  if (!isOfPath(entry)) return entry;
  const to = renames.get(entry.data.path);
  return to === undefined ? entry : ({ ...entry, data: { ...entry.data, path: to } } as JournalEntry);
}

/** An outcome without content, for what nobody knows the outcome of. Null for kinds that have no such outcome. */
function nothingEntry(path: string, kind: UnitKind, seq: number, at: number): JournalEntry | null {
  const payload = encodeValue(undefined);
  switch (kind) {
    case 'step':
      return { seq, at, type: 'step.completed', data: { path, attempt: 1, durationMs: 0, withInput: false }, payload };
    case 'call':
      return { seq, at, type: 'call.completed', data: { path, attempt: 1, worker: '', durationMs: 0 }, payload };
    case 'inference':
      return { seq, at, type: 'inference.completed', data: { path, attempt: 1, ...noOutcome }, payload };
    case 'timer':
      return { seq, at, type: 'timer.fired', data: { path } };
    case 'emit':
      return { seq, at, type: 'event.emitted', data: { path, topic: '', eventId: '' } };
    case 'message':
      return { seq, at, type: 'message.sent', data: { path, to: { kind: 'caller', id: '', failure: null } } };
    case 'child':
      return { seq, at, type: 'child.ended', data: { path, run: '', status: 'succeeded', failure: null }, payload };
    case 'start':
    case 'race':
    case 'gate':
    case 'context':
    case 'wait':
    case 'approval':
      return null;
  }
}

const noOutcome: InferenceOutcome = {
  usage: { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 },
  costMicros: 0,
  finish: 'other',
  durationMs: 0,
  firstPartMs: null,
  providerId: null,
};

// ---------------------------------------------------------------- renames

interface Pair {
  readonly from: Recorded;
  /** The path under which the code asks for it now. */
  readonly to: string;
}

/** For each thing asked for, the first recorded one that it may be the new name of. */
function pairsOf(frontier: readonly AskedUnit[], unasked: readonly Recorded[], refuted: ReadonlySet<string>): Pair[] {
  const free = new Set([...unasked].sort((a, b) => a.since - b.since));
  const pairs: Pair[] = [];
  const taken = new Set<string>();
  for (const to of frontier) {
    if (taken.has(to.path)) continue;
    const from = [...free].find((one) => isLike(one, to) && !refuted.has(pairKey(one.path, to.path)));
    if (from === undefined) continue;
    const family = renamedFamily(from.path, to.path);
    for (const one of [from, ...free]) {
      const path = one === from ? to.path : family(one.path);
      if (path === null || refuted.has(pairKey(one.path, path)) || !free.delete(one)) continue;
      taken.add(path);
      pairs.push({ from: one, to: path });
    }
  }
  return pairs;
}

/**
 * Where two paths differ in one name, with the same keys: what becomes of other paths with that name in that place, such as
 * the other items of a map. Null = the path is none of them.
 */
function renamedFamily(from: string, to: string): (path: string) => string | null {
  const before = from.split('/');
  const after = to.split('/');
  const at = before.findIndex((segment, i) => segment !== after[i]);
  const [oldName = '', ...oldKeys] = (before[at] ?? '').split(':');
  const [newName = '', ...newKeys] = (after[at] ?? '').split(':');
  const rest = (segments: readonly string[]): string => segments.slice(at + 1).join('/');
  if (rest(before) !== rest(after) || oldKeys.join(':') !== newKeys.join(':')) return () => null;
  return (path) => {
    const segments = path.split('/');
    const [name, ...keys] = (segments[at] ?? '').split(':');
    const isOfFamily = name === oldName && segments.slice(0, at).join('/') === before.slice(0, at).join('/');
    return isOfFamily ? segments.with(at, [newName, ...keys].join(':')).join('/') : null;
  };
}

/** The same kind of thing, in the same scope or under the same last name. */
function isLike(recorded: Recorded, asked: AskedUnit): boolean {
  if (recorded.record.kind !== asked.kind) return false;
  if (recorded.capability !== null && asked.capability !== undefined && recorded.capability !== asked.capability)
    return false;
  const [scope, name] = splitPath(recorded.path);
  const [askedScope, askedName] = splitPath(asked.path);
  return scope === askedScope || name === askedName;
}

function splitPath(path: string): readonly [scope: string, name: string] {
  const at = path.lastIndexOf('/');
  return [path.slice(0, Math.max(0, at)), path.slice(at + 1)];
}

function pairKey(from: string, to: string): string {
  return `${from}\n${to}`;
}

function withRenames(renames: ReadonlyMap<string, string>, pairs: readonly Pair[]): ReadonlyMap<string, string> {
  return new Map([...renames, ...pairs.map(({ from, to }) => [from.path, to] as const)]);
}

// ---------------------------------------------------------------- changes

function otherForm({ workflow, graph }: RunState): ReplayChange {
  const [was, is] = graph === null ? ['a body', 'a graph'] : ['a graph', 'a body'];
  const text = `The run is one of ${was}; in this app "${workflow}" is ${is}, under which it cannot go on.`;
  return { kind: 'missing', path: null, level: 'break', text };
}

function missing(app: AnyApp, { workflow, version }: RunState): ReplayChange {
  const known = versionsOf(app, workflow);
  const text =
    known === undefined
      ? `The app has no workflow "${workflow}".`
      : `The run is ${version === null ? 'pinned to no version' : `pinned to version "${version}"`} of "${workflow}"; the app has it ${known.map(versionText).join(', ')}. Keep the old body by \`previous\`.`;
  return { kind: 'missing', path: null, level: 'break', text };
}

function addedChange(path: string, unit: UnitKind, isGuessed: boolean): ReplayChange {
  const text = isGuessed
    ? `${named(unit)} "${path}" is new and would be done now; what follows was looked at as if it had given nothing.`
    : `${named(unit)} "${path}" is new and would be done now.`;
  return { kind: 'added', level: 'note', path, unit, text };
}

function removedChange({ path, record }: Recorded): ReplayChange {
  const text = `${named(record.kind)} "${path}" is recorded, and the code no longer asks for it: it is left aside.`;
  return { kind: 'removed', level: 'note', path, unit: record.kind, text };
}

function renamedChange({ path, record, external }: Recorded, to: string): ReplayChange {
  const text = `${named(record.kind)} "${path}" seems to be called "${to}" now: it would be done a second time. Keep the old name.`;
  return { kind: 'renamed', level: external ? 'break' : 'warning', path, to, unit: record.kind, text };
}

function unreachedChange({ path, record }: Recorded): ReplayChange {
  const text = `${named(record.kind)} "${path}" is recorded; whether the code still asks for it depends on what is new before it.`;
  return { kind: 'unreached', level: 'note', path, unit: record.kind, text };
}

/** What people call the kinds that have another name inside. */
const names: Readonly<Partial<Record<UnitKind, string>>> = { timer: 'Sleep', emit: 'Event' };

function named(unit: UnitKind): string {
  return names[unit] ?? unit.charAt(0).toUpperCase() + unit.slice(1);
}

function outcomeWord(end: EndCommand): string {
  return end.op === 'refuse' ? 'refusal' : 'result';
}

function reportOf(
  { tenant, run }: ExportedHistory,
  { workflow, version, status }: RunState,
  now: ReplayReport['now'],
  matched: number,
  changes: readonly ReplayChange[],
): ReplayReport {
  const breaks = changes.some(({ level }) => level === 'break');
  const verdict = changes.length === 0 ? 'same' : breaks ? 'breaking' : 'compatible';
  return { tenant, run, workflow, version, recorded: status, now, matched, changes, verdict };
}
