/**
 * Schedules: rows that start runs when they are due. Each change of a row, a tick among them, is one transition that is
 * guarded by the row's version and holds the runs that it starts. So a tick is decided once, whoever tries to and
 * however often: who comes second finds another version and looks anew.
 *
 * The duty that fires timers calls `tick`; the end of a run for which a tick waits is heard of here at once, and where
 * that was missed the row is due again before long.
 */
import { canonicalJson } from '../../core/canonical-json.js';
import { SpineError, assertNever } from '../../core/errors.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import type { Manifest, ScheduleManifest } from '../../core/manifest.js';
import {
  decideTicks,
  dueAtOf,
  newSchedule,
  paused,
  redefined,
  resumed,
  startedByHand,
  withoutRuns,
  type ScheduleState,
  type TickDecision,
} from '../../core/schedule/decide.js';
import { scheduleLabels, type ScheduleSpec } from '../../core/schedule/spec.js';
import { isEnded } from '../../core/run/state.js';
import type { PageView, ScheduleView } from '../../protocol/http.js';
import type { DedupeWrite, ManifestRow, ScheduleRow, ScheduleWrite } from '../../store/contract.js';
import type { CommandOutcome, Origin, PutScheduleOutcome, StartOutcome, StartRequest } from '../api.js';
import type { EngineContext } from '../context.js';
import { withBirths, type RunBirth } from '../intake/birth.js';
import { errorOutcome, startOutcome, type PreparedStart } from '../intake/intake.js';
import type { CommittedChange } from '../runs/committed.js';
import type { CommitAnswer } from '../runs/committer.js';
import type { Lanes } from '../runs/lanes.js';
import { scheduleView } from './view.js';

/** What schedules need of the rest of the engine. */
export interface ScheduleDeps {
  readonly context: EngineContext;
  readonly lanes: Lanes;
  /** Checks a start and makes the run of it. Throws WORKFLOW_UNKNOWN, INPUT_INVALID. */
  readonly prepare: (origin: Origin, request: StartRequest) => PreparedStart;
  /** Makes sure that a workflow is known here, if any server knows it. */
  readonly lookFor: (workflow: string) => Promise<void>;
  readonly cancel: (origin: Origin, run: string, reason: string) => Promise<CommandOutcome>;
}

/** A row with what its body says. */
interface Found {
  readonly row: ScheduleRow;
  readonly state: ScheduleState;
}

/** What a change comes to: the new state, or that there is nothing to write. */
interface Change {
  readonly state: ScheduleState | null;
  readonly dueAt: number | null;
  readonly births?: readonly RunBirth[];
  readonly dedupe?: readonly DedupeWrite[];
  readonly cancel?: readonly string[];
}

/** A row that changes this often under one's hands has a competitor that never rests. */
const conflictsMax = 20;

export class Schedules {
  readonly #deps: ScheduleDeps;
  /** Apps whose schedules are not known to be what their manifest says. */
  #settling: Promise<void> = Promise.resolve();
  readonly #unsettled = new Map<string, { readonly manifest: Manifest; readonly registeredAt: number }>();

  constructor(deps: ScheduleDeps) {
    this.#deps = deps;
  }

  /** Sees to what is due. Returns how many schedules that were; a full batch means that more may be due. */
  async tick(): Promise<number> {
    const { store } = this.#deps.context;
    const due = await store.dueSchedules(limits.scheduleBatchMax);
    await Promise.all(
      due.map((row) =>
        // One schedule that cannot be seen to must not keep the others waiting.
        this.#evaluate(row.tenant, row.name, row).catch((error: unknown) =>
          this.#deps.context.fault(`schedule ${row.name}`, error),
        ),
      ),
    );
    return due.length;
  }

  /** A run has moved: where that is the end of one that a schedule started, what waits for it goes on. */
  committed({ tenant, run, state }: CommittedChange): void {
    const name = state.labels?.[scheduleLabels.schedule];
    if (name === undefined || !isEnded(state.status)) return;
    this.#freed(tenant, name, run).catch((error: unknown) => this.#deps.context.fault(`schedule ${name}`, error));
  }

  async #freed(tenant: string, name: string, run: string): Promise<void> {
    const row = await this.#deps.context.store.readSchedule(tenant, name);
    if (row === null) return;
    const { running, waiting } = stateOf(row);
    if (waiting.length > 0 && running.includes(run)) await this.#evaluate(tenant, name, row);
  }

  /** Adds a schedule or replaces its definition. What it has started goes on, and what is paused stays so. */
  async put(origin: Origin, name: string, spec: ScheduleSpec): Promise<PutScheduleOutcome> {
    try {
      const { tenant } = origin;
      await this.#deps.lookFor(spec.workflow);
      this.#prepare(tenant, name, spec, 0);
      let tag: 'created' | 'updated' | 'unchanged' = 'unchanged';
      await this.#change(tenant, name, async (found, now) => {
        if (found !== null && found.state.app !== null)
          throw new SpineError('SCHEDULE_OWNED', { name, app: found.state.app.name });
        if (found === null) await this.#makeSureOfRoom(tenant);
        tag = found === null ? 'created' : isSame(found.state.spec, spec) ? 'unchanged' : 'updated';
        return tag === 'unchanged' ? null : this.#define(tenant, name, found, spec, null, now);
      });
      return { tag };
    } catch (error) {
      return errorOutcome(error);
    }
  }

  /** Two that are added at one time may be one too many; the bound is there against thousands. */
  async #makeSureOfRoom(tenant: string): Promise<void> {
    const { store, settings } = this.#deps.context;
    const max = settings.schedulesPerTenantMax;
    let count = 0;
    for (let cursor: string | null = ''; cursor !== null && count < max; ) {
      const page = await store.listSchedules({
        tenant,
        limit: limits.scheduleBatchMax,
        ...(cursor === '' ? {} : { cursor }),
      });
      count += page.items.length;
      cursor = page.next;
    }
    if (count >= max) throw new SpineError('SCHEDULES_FULL', { max });
  }

  pause(origin: Origin, name: string, reason: string | null): Promise<CommandOutcome> {
    return this.#command(origin, name, async (found, now) => {
      if (found.state.pausedAt !== null) return null;
      const decided = await this.#decide(origin.tenant, name, found.state, now);
      return { ...decided, state: paused(decided.state, reason, now), dueAt: null };
    });
  }

  resume(origin: Origin, name: string): Promise<CommandOutcome> {
    return this.#command(origin, name, async ({ state }, now) => {
      if (state.pausedAt === null) return null;
      const after = resumed(state, now);
      return { state: after, dueAt: this.#dueAt(origin.tenant, name, after, now) };
    });
  }

  /** Removes a schedule. Runs that it has started go on. */
  remove(origin: Origin, name: string): Promise<CommandOutcome> {
    return this.#command(origin, name, async ({ state }) => {
      if (state.app !== null) throw new SpineError('SCHEDULE_OWNED', { name, app: state.app.name });
      return { state: null, dueAt: null };
    });
  }

  /** Starts a run of the schedule now, whatever its ticks do, also while it is paused. */
  async trigger(origin: Origin, name: string, idempotencyKey?: string): Promise<StartOutcome> {
    try {
      const { tenant } = origin;
      let outcome: StartOutcome | null = null;
      await this.#change(
        tenant,
        name,
        async (found, now) => {
          if (found === null) throw notFound(name);
          await this.#deps.lookFor(found.state.spec.workflow);
          const key = idempotencyKey === undefined ? {} : { idempotencyKey };
          const { born, dedupe } = this.#prepare(tenant, name, found.state.spec, now, { ...key, origin });
          const state = startedByHand(found.state, born.state.run, now);
          return {
            state,
            dueAt: state.pausedAt === null ? this.#dueAt(tenant, name, state, now) : null,
            births: [born],
            dedupe,
          };
        },
        (answer, { births = [], dedupe = [] }) => {
          outcome = startOutcome(births[0]?.state.run ?? '', dedupe, answer);
        },
      );
      return outcome ?? errorOutcome(new Error('Invariant broken: a start by hand was not answered'));
    } catch (error) {
      return errorOutcome(error);
    }
  }

  async read(tenant: string, name: string): Promise<ScheduleView | null> {
    const row = await this.#deps.context.store.readSchedule(tenant, name);
    return row === null ? null : scheduleView(row, stateOf(row));
  }

  async list(
    tenant: string,
    query: { readonly cursor?: string; readonly limit?: number },
  ): Promise<PageView<ScheduleView>> {
    const { cursor, limit = limits.pageItemsDefault } = query;
    const page = await this.#deps.context.store.listSchedules({
      tenant,
      limit: Math.min(limit, limits.pageItemsMax),
      ...(cursor === undefined ? {} : { cursor }),
    });
    return { items: page.items.map((row) => scheduleView(row, stateOf(row))), next: page.next };
  }

  // Schedules of apps

  /** An app was registered, here or by a neighbour: with the next `settle` its schedules become what the manifest says. */
  registered(manifest: Manifest, registeredAt: number): void {
    this.#unsettled.set(manifest.app, { manifest, registeredAt });
  }

  /** Brings the schedules of apps to what their newest manifests say. What fails is tried again the next time; two servers may do it at once. */
  async settle(): Promise<void> {
    // One round after the other: two of this server would say everything twice.
    const before = this.#settling;
    this.#settling = before.then(() => this.#settleAll());
    await this.#settling;
  }

  async #settleAll(): Promise<void> {
    for (const [app, wanted] of this.#unsettled) {
      try {
        await this.#settleApp(wanted.manifest, wanted.registeredAt);
        if (this.#unsettled.get(app) === wanted) this.#unsettled.delete(app);
      } catch (error) {
        this.#deps.context.fault(`schedules of ${app}`, error);
      }
    }
  }

  async #settleApp(manifest: Manifest, registeredAt: number): Promise<void> {
    const owner = { name: manifest.app, registeredAt };
    const { schedules = [] } = manifest;
    for (const { tenant, name, spec } of schedules) {
      await this.#change(tenant, name, async (found, now) => {
        if (found !== null && !isOlder(found.state, owner)) return null;
        if (found?.state.app?.name === owner.name && isSame(found.state.spec, spec)) return null;
        if (found !== null && found.state.app?.name !== owner.name) this.#tellTaken(name, found.state, owner.name);
        return this.#define(tenant, name, found, spec, owner, now);
      });
    }
    const kept = new Set(schedules.map(nameOf));
    for (const gone of await this.#formerSchedules(owner.name)) {
      if (kept.has(nameOf(gone))) continue;
      await this.#change(gone.tenant, gone.name, async (found) => {
        if (found?.state.app?.name !== owner.name || !isOlder(found.state, owner)) return null;
        return { state: null, dueAt: null };
      });
    }
  }

  #tellTaken(name: string, { app }: ScheduleState, by: string): void {
    const from = app === null ? 'a request' : `app ${app.name}`;
    this.#deps.context.log({
      level: 'warn',
      message: 'a schedule was taken over by an app that defines one of the same name',
      fields: { schedule: name, from, by },
    });
  }

  /** The schedules that any manifest of the app ever had. */
  async #formerSchedules(app: string): Promise<readonly ScheduleManifest[]> {
    const rows = (await this.#deps.context.store.listManifests()).filter((row) => row.app === app);
    return rows.flatMap(schedulesOf);
  }

  // Changes of a row

  async #command(
    { tenant }: Origin,
    name: string,
    change: (found: Found, now: number) => Promise<Change | null>,
  ): Promise<CommandOutcome> {
    try {
      let isDone = false;
      await this.#change(tenant, name, async (found, now) => {
        if (found === null) throw notFound(name);
        const changed = await change(found, now);
        isDone = changed !== null;
        return changed;
      });
      return { tag: isDone ? 'done' : 'already' };
    } catch (error) {
      return errorOutcome(error);
    }
  }

  async #evaluate(tenant: string, name: string, known: ScheduleRow): Promise<void> {
    await this.#change(
      tenant,
      name,
      async (found, now) => (found === null ? null : this.#decide(tenant, name, found.state, now)),
      undefined,
      known,
    );
  }

  /** Ticks that are due under the definition of before are decided first: they have come. */
  async #define(
    tenant: string,
    name: string,
    found: Found | null,
    spec: ScheduleSpec,
    app: ScheduleState['app'],
    now: number,
  ): Promise<Change> {
    const decided = found === null ? null : await this.#decide(tenant, name, found.state, now);
    const state = decided === null ? newSchedule(spec, app, now) : redefined(decided.state, spec, app, now);
    return { ...decided, state, dueAt: this.#dueAt(tenant, name, state, now) };
  }

  async #decide(
    tenant: string,
    name: string,
    state: ScheduleState,
    now: number,
  ): Promise<Change & { readonly state: ScheduleState }> {
    const births: RunBirth[] = [];
    await this.#deps.lookFor(state.spec.workflow);
    const decision: TickDecision = decideTicks(withoutRuns(state, await this.#ended(tenant, state)), {
      now,
      seed: seedOf(tenant, name),
      hash: this.#deps.context.ports.hash,
      start: (tick) => {
        try {
          const { born } = this.#prepare(tenant, name, state.spec, tick);
          births.push(born);
          return { run: born.state.run };
        } catch (error) {
          if (!(error instanceof SpineError)) throw error;
          return { refused: `${error.code}: ${error.message}`.slice(0, limits.errorMessageLengthMax) };
        }
      },
    });
    return { ...decision, births };
  }

  #prepare(
    tenant: string,
    name: string,
    spec: ScheduleSpec,
    tick: number,
    given: { readonly idempotencyKey?: string; readonly origin?: Origin } = {},
  ): PreparedStart {
    const { origin = { tenant, actor: `schedule:${name}`, traceparent: null, correlation: null }, ...rest } = given;
    return this.#deps.prepare(origin, {
      workflow: spec.workflow,
      input: { codec: 'json/1', text: spec.input },
      labels: { ...spec.labels, [scheduleLabels.schedule]: name, [scheduleLabels.tick]: isoOf(tick) },
      ...(spec.priority === null ? {} : { priority: spec.priority }),
      ...rest,
    });
  }

  /** Which of the runs that a schedule takes for unfinished have ended. */
  async #ended(tenant: string, { running }: ScheduleState): Promise<ReadonlySet<string>> {
    const rows = await Promise.all(running.map((run) => this.#deps.context.store.readRun(tenant, run)));
    return new Set(running.filter((_, i) => isEnded(rows[i]?.status ?? 'succeeded')));
  }

  #dueAt(tenant: string, name: string, state: ScheduleState, now: number): number | null {
    return dueAtOf(state, { now, seed: seedOf(tenant, name), hash: this.#deps.context.ports.hash });
  }

  /** Reads, decides and writes, again for as long as another was quicker. `known` saves the first read. */
  async #change(
    tenant: string,
    name: string,
    decide: (found: Found | null, now: number) => Promise<Change | null>,
    answered: (answer: Exclude<CommitAnswer, { tag: 'conflict' }>, change: Change) => void = refuse,
    known?: ScheduleRow,
  ): Promise<void> {
    const { store } = this.#deps.context;
    let row: ScheduleRow | null | undefined = known;
    for (let attempt = 0; attempt < conflictsMax; attempt++) {
      row ??= await store.readSchedule(tenant, name);
      const now = store.now();
      const change = await decide(row === null ? null : { row, state: stateOf(row) }, now);
      if (change === null) return;
      const answer = await this.#write(tenant, name, row, change, now);
      row = undefined;
      if (answer.tag === 'conflict') continue;
      answered(answer, change);
      if (answer.tag === 'applied') await this.#cancel(tenant, name, change.cancel ?? []);
      return;
    }
    throw new SpineError('STORE_BUSY', {});
  }

  #write(
    tenant: string,
    name: string,
    before: ScheduleRow | null,
    { state, dueAt, births = [], dedupe = [] }: Change,
    now: number,
  ): Promise<CommitAnswer> {
    const expected = before?.version ?? 0;
    // Above all that the name had before, also where it was removed meanwhile: a version is never met again.
    const version = Math.max(expected + 1, now);
    const row = state === null ? null : { tenant, name, version, dueAt, body: JSON.stringify(state) };
    const schedules: ScheduleWrite[] = [{ name, expected, row }];
    const transition = withBirths({ tenant, schedules, ...(dedupe.length === 0 ? {} : { dedupe }) }, births);
    return new Promise((settle) => {
      this.#deps.lanes.bear({ births, transition, actor: `schedule:${name}`, settle });
    });
  }

  /** Asked again whenever the schedule is looked at, so that a crash in between costs a while. */
  async #cancel(tenant: string, name: string, runs: readonly string[]): Promise<void> {
    const origin: Origin = { tenant, actor: `schedule:${name}`, traceparent: null, correlation: null };
    for (const run of runs) {
      const outcome = await this.#deps.cancel(origin, run, `A later tick of the schedule "${name}" takes its place.`);
      if (outcome.tag === 'error') throw outcome.error;
    }
  }
}

function refuse(answer: Exclude<CommitAnswer, { tag: 'conflict' }>): void {
  switch (answer.tag) {
    case 'applied':
      return;
    case 'failed':
      throw answer.error instanceof Error ? answer.error : new Error(String(answer.error));
    case 'unstorable':
      throw new SpineError('VALUE_UNSTORABLE', { path: '$', reason: answer.reason });
    case 'duplicate':
    case 'fenced':
      throw new Error(`Invariant broken: a schedule was refused with ${answer.tag}`);
    default:
      return assertNever(answer);
  }
}

function notFound(name: string): SpineError<'SCHEDULE_NOT_FOUND'> {
  return new SpineError('SCHEDULE_NOT_FOUND', { name });
}

function stateOf(row: ScheduleRow): ScheduleState {
  return JSON.parse(row.body) as ScheduleState;
}

function seedOf(tenant: string, name: string): string {
  return `${tenant}/${name}`;
}

function nameOf({ tenant, name }: ScheduleManifest): string {
  return `${tenant}/${name}`;
}

/** Whether the row is from before the registration, by whomever it was made. */
function isOlder(state: ScheduleState, owner: NonNullable<ScheduleState['app']>): boolean {
  return (state.app?.registeredAt ?? state.updatedAt) < owner.registeredAt;
}

/** The order of names does not count: stored text is read back in the order in which it was written. */
function isSame(a: ScheduleSpec, b: ScheduleSpec): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

/** A manifest that was stored before schedules existed has none. */
function schedulesOf(row: ManifestRow): readonly ScheduleManifest[] {
  return (JSON.parse(row.manifest) as Manifest).schedules ?? [];
}
