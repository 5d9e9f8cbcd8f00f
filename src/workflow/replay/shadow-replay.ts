/**
 * A shadow of a run: what another version of its workflow would have made of the same event. The body of the app is run over
 * what the run has recorded. Steps without effects (`effect: 'pure'`) are done anew; everything else is answered out of the
 * record and done by nobody, so a shadow costs nothing and is seen by no one. What is not recorded stays open.
 */
import { canonicalJson } from '../../core/canonical-json.js';
import { encodeValue, jsonOf } from '../../core/codec.js';
import { failureOf } from '../../core/failure-of.js';
import { SpineError } from '../../core/errors.js';
import type { EndCommand } from '../../core/run/commands.js';
import { exportedText, type ExportedHistory } from '../../core/run/exported-history.js';
import { journalOf, type Journal, type JournalEntry } from '../../core/run/journal.js';
import { foldRun, isEnded, type RunState, type RunStatus } from '../../core/run/state.js';
import type { Payload } from '../../core/payload.js';
import type { Ports } from '../../core/ports.js';
import { findWorkflow, versionsOf, type AnyApp } from '../app.js';
import type { StepContext } from '../ctx.js';
import { makeLog } from '../log.js';
import type { AnyWorkflow } from '../workflow.js';
import type { AskedUnit } from './asked-unit.js';
import { dryReplay, endWord, recordedInput, type DryReplay } from './dry-replay.js';
import { isOfPath, type UnitKind } from './path-record.js';

/** Something that a run asks for. */
export interface ShadowUnit {
  readonly path: string;
  readonly kind: UnitKind;
}

/** What came of a shadow beside what the run has come to. */
export interface ShadowReport {
  readonly run: string;
  readonly workflow: string;
  /** Version that the run was made by, and the one that was asked now. */
  readonly from: string | null;
  readonly to: string | null;
  readonly recorded: RunStatus;
  /** `open`: it would go on with something that is not recorded (`wouldDo`), or waits as the run does. */
  readonly now: 'succeeded' | 'failed' | 'refused' | 'continued' | 'cancelled' | 'open';
  /**
   * `same`: the same end with the same value. `different`: another end or value. `beyond`: it asks for what nobody has done.
   * `unfinished`: the run has not ended, and the shadow has come to where it is.
   */
  readonly verdict: 'same' | 'different' | 'beyond' | 'unfinished';
  /** Pure steps that were done anew. */
  readonly redone: number;
  /** Asked for, and not recorded: would be done now. */
  readonly wouldDo: readonly ShadowUnit[];
  /** Recorded, and not asked for any more. */
  readonly leftOut: readonly string[];
  /** Asked for with another input than is recorded, and answered by the record all the same. */
  readonly otherInput: readonly string[];
  /** The two values as JSON, where they differ. */
  readonly values: { readonly recorded: unknown; readonly now: unknown } | null;
}

/** Rounds of one shadow: each finds the next pure steps. What is left then counts as open. */
const roundsMax = 200;

/**
 * Runs the newest version of the workflow that the app has over a recorded run. Fails with HISTORY_INVALID, and with
 * WORKFLOW_UNKNOWN where the app does not have the workflow, or has it as a graph.
 */
export async function shadowReplay(app: AnyApp, history: ExportedHistory, ports: Ports): Promise<ShadowReport> {
  const { tenant, run, events } = history;
  const state = foldRun(tenant, run, events);
  const [to = null] = versionsOf(app, state.workflow) ?? [];
  const definition = findWorkflow(app, state.workflow, to);
  if (definition === undefined || definition.graph !== undefined)
    throw new SpineError('WORKFLOW_UNKNOWN', {
      name: state.workflow,
      known: app.manifest.workflows.map((w) => w.name),
    });
  return new Shadow(app, definition, history, state, ports).report();
}

class Shadow {
  readonly #app: AnyApp;
  readonly #definition: AnyWorkflow;
  readonly #history: ExportedHistory;
  readonly #state: RunState;
  readonly #ports: Ports;
  readonly #journal: Journal;
  /** Paths of the run, with the `seq` at which each came to something. */
  readonly #recorded = new Map<string, number>();
  /** Pure steps: what they came to here; null = not done yet. */
  readonly #redone = new Map<string, JournalEntry | null>();

  constructor(app: AnyApp, definition: AnyWorkflow, history: ExportedHistory, state: RunState, ports: Ports) {
    this.#app = app;
    this.#definition = definition;
    this.#history = history;
    this.#state = state;
    this.#ports = ports;
    this.#journal = journalOf(history.events);
    for (const entry of this.#journal.entries) if (isOfPath(entry)) this.#recorded.set(entry.data.path, entry.seq);
  }

  async report(): Promise<ShadowReport> {
    let replay = await this.#replay();
    for (let round = 0; round < roundsMax; round++) {
      const pure = [...replay.asked.values()].filter(
        ({ path, pure: fn }) => fn !== undefined && !this.#redone.get(path),
      );
      const found = pure.filter(({ path }) => !this.#redone.has(path));
      const open = pure.filter(({ path }) => replay.open.has(path));
      if (found.some(({ path }) => this.#recorded.has(path))) {
        // The body was told what the old code had come to; again, without that.
        for (const { path } of found) this.#redone.set(path, null);
      } else if (open.length === 0) break;
      else for (const unit of open) this.#redone.set(unit.path, await this.#do(unit));
      replay = await this.#replay();
    }
    return this.#judged(replay);
  }

  #replay(): Promise<DryReplay> {
    const kept = this.#journal.entries.filter((entry) => !isOfPath(entry) || !this.#redone.has(entry.data.path));
    const done = [...this.#redone.values()].filter((entry) => entry !== null);
    return dryReplay(
      {
        ...recordedInput(this.#app, this.#history),
        workflow: this.#definition,
        version: this.#definition.version,
        journal: { ...this.#journal, entries: [...kept, ...done].sort((a, b) => a.seq - b.seq) },
      },
      this.#ports,
    );
  }

  /** In its old place among the outcomes, where it has one; what is new comes first, so that it is given when it is asked for. */
  async #do({ path, pure }: AskedUnit): Promise<JournalEntry> {
    const at = this.#state.updatedAt;
    const seq = this.#recorded.get(path) ?? this.#redone.size / 1_000_000;
    try {
      const value: unknown = await pure?.(stepContext(path));
      const data = { path, attempt: 1, durationMs: 0, withInput: false };
      return { seq, at, type: 'step.completed', data, payload: encodeValue(value) };
    } catch (error) {
      const failure = failureOf(error, at);
      return { seq, at, type: 'step.failed', data: { path, attempt: 1, failure } };
    }
  }

  #judged(replay: DryReplay): ShadowReport {
    const { end, asked, open } = replay;
    const { run, workflow, version, status } = this.#state;
    const now = end === null ? 'open' : endWord(end);
    const wouldDo = [...open].flatMap((path) => {
      const unit = asked.get(path);
      return unit === undefined || this.#recorded.has(path) ? [] : [{ path, kind: unit.kind }];
    });
    const before = this.#recordedValue();
    const after = end === null ? undefined : valueOf(end);
    const isSame = now === status && sameValue(this.#plain(before), this.#plain(after));
    const verdict =
      now === 'open'
        ? wouldDo.length > 0
          ? 'beyond'
          : isEnded(status)
            ? 'different'
            : 'unfinished'
        : isSame
          ? 'same'
          : 'different';
    return {
      run,
      workflow,
      from: version,
      to: this.#definition.version,
      recorded: status,
      now,
      verdict,
      redone: [...this.#redone.values()].filter((entry) => entry !== null).length,
      wouldDo,
      leftOut: [...this.#recorded.keys()].filter((path) => !asked.has(path) && !isInside(path, asked)),
      otherInput: [...asked.values()].filter((unit) => this.#hasOtherInput(unit)).map(({ path }) => path),
      values:
        verdict === 'different' ? { recorded: this.#plain(before) ?? null, now: this.#plain(after) ?? null } : null,
    };
  }

  #recordedValue(): Payload | undefined {
    const last = this.#history.events.findLast(({ type }) => type === 'run.succeeded' || type === 'run.refused');
    return isEnded(this.#state.status) ? last?.payload : undefined;
  }

  #plain(payload: Payload | undefined): unknown {
    return payload === undefined ? undefined : jsonOf(exportedText(this.#history, payload));
  }

  #hasOtherInput({ path, input }: AskedUnit): boolean {
    if (input === undefined) return false;
    const asked = this.#history.events.find(
      (event) =>
        (event.type === 'call.scheduled' || event.type === 'inference.requested') &&
        event.data.path === path &&
        event.payload !== undefined,
    );
    return asked?.payload !== undefined && !sameValue(this.#plain(asked.payload), jsonOf(input));
  }
}

function valueOf(end: EndCommand): Payload | undefined {
  if (end.op === 'succeed') return end.output;
  return end.op === 'refuse' ? (end.data ?? undefined) : undefined;
}

function sameValue(a: unknown, b: unknown): boolean {
  return canonicalJson(a ?? null) === canonicalJson(b ?? null);
}

/** What was done inside of a step is not asked for where the step itself is recorded. */
function isInside(path: string, asked: ReadonlyMap<string, unknown>): boolean {
  for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1))
    if (asked.has(path.slice(0, slash))) return true;
  return false;
}

/** What a step without effects may use: nobody reads its stream or its log. */
function stepContext(path: string): StepContext {
  const { signal } = new AbortController();
  return {
    signal,
    attempt: 1,
    idempotencyKey: `shadow/${path}`,
    log: makeLog(() => undefined),
    stream: () => ({ write: async () => undefined }),
  };
}
