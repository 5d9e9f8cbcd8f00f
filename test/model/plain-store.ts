/**
 * A store in the plainest words: maps, and the rules of `store/contract.ts` written down once more without an index, a
 * cursor or a byte. The stores are compared with it, command by command.
 */

/** A task as the model keeps it. */
export interface PlainTask {
  readonly run: string;
  readonly task: string;
  readonly queue: string;
  readonly rank: number;
  state: 'ready' | 'delayed' | 'leased';
  token: number;
  dueAt: number | null;
  session: string | null;
}

/** What a transition changes, as far as the model knows. */
export interface PlainChange {
  readonly run: string;
  readonly expected: number;
  readonly ends: boolean;
  readonly lease: { readonly task: string; readonly token: number } | null;
  /** The task that nobody may hold. */
  readonly unleased: string | null;
  readonly dedupe: { readonly key: string; readonly expiresAt: number } | null;
  readonly opens: readonly {
    readonly task: string;
    readonly queue: string;
    readonly rank: number;
    readonly dueAt: number | null;
  }[];
  readonly requeues: readonly {
    readonly task: string;
    readonly queue: string;
    readonly rank: number;
    readonly dueAt: number | null;
  }[];
  readonly closes: readonly string[];
  readonly timers: readonly { readonly name: string; readonly fireAt: number | null }[];
  readonly publishes: number;
}

/** See the head of this file. */
export class PlainStore {
  readonly heads = new Map<string, number>();
  readonly ended = new Set<string>();
  readonly tasks = new Map<string, PlainTask>();
  readonly timers = new Map<string, { readonly run: string; readonly name: string; readonly fireAt: number }>();
  readonly sessions = new Set<string>();
  readonly #dedupe = new Map<string, { readonly run: string; readonly expiresAt: number }>();
  nowMs: number;
  events = 0;
  offset = 0;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  /** The tag of the outcome; changes nothing unless it is `applied`. */
  apply(change: PlainChange): string {
    const refused = this.#refusal(change);
    if (refused !== null) return refused;
    const { run, dedupe, lease: _, ...rest } = change;
    this.heads.set(run, change.expected + 1);
    if (change.ends) this.ended.add(run);
    if (dedupe !== null) this.#dedupe.set(dedupe.key, { run, expiresAt: dedupe.expiresAt });
    this.events += 1 + rest.publishes;
    this.offset += rest.publishes;
    for (const task of rest.opens) this.#put(run, task, 0);
    for (const task of rest.requeues) this.#put(run, task, this.tasks.get(`${run}/${task.task}`)?.token ?? 0);
    for (const task of rest.closes) this.tasks.delete(`${run}/${task}`);
    for (const { name, fireAt } of rest.timers) {
      if (fireAt === null) this.timers.delete(`${run}/${name}`);
      else this.timers.set(`${run}/${name}`, { run, name, fireAt });
    }
    return 'applied';
  }

  /** Keys of what a session gets, with the new tokens, in the order of the queues and their ranks. */
  claim(
    session: string,
    queues: readonly { readonly queue: string; readonly limit: number }[],
    limit: number,
  ): string[] {
    if (!this.sessions.has(session)) return [];
    const got: string[] = [];
    for (const { queue, limit: most } of queues) {
      const ready = [...this.tasks.values()].filter((task) => task.queue === queue && task.state === 'ready');
      ready.sort(
        (a, b) => a.rank - b.rank || (a.run < b.run ? -1 : a.run > b.run ? 1 : 0) || (a.task < b.task ? -1 : 1),
      );
      for (const task of ready.slice(0, Math.min(most, limit - got.length))) {
        Object.assign(task, { state: 'leased', token: task.token + 1, session });
        got.push(`${task.run}/${task.task}#${task.token}`);
      }
    }
    return got;
  }

  release(run: string, task: string, token: number): number {
    const found = this.tasks.get(`${run}/${task}`);
    if (found?.state !== 'leased' || found.token !== token) return 0;
    Object.assign(found, { state: 'ready', session: null });
    return 1;
  }

  promoteDue(): number {
    const due = [...this.tasks.values()].filter((task) => task.state === 'delayed' && (task.dueAt ?? 0) <= this.nowMs);
    for (const task of due) Object.assign(task, { state: 'ready', dueAt: null });
    return due.length;
  }

  dueTimers(): string[] {
    return [...this.timers.values()]
      .filter((timer) => timer.fireAt <= this.nowMs)
      .sort((a, b) => a.fireAt - b.fireAt || (a.run < b.run ? -1 : a.run > b.run ? 1 : 0) || (a.name < b.name ? -1 : 1))
      .map((timer) => `${timer.run}/${timer.name}`);
  }

  nextDueAt(): number | null {
    const instants = [
      ...[...this.timers.values()].map((timer) => timer.fireAt),
      ...[...this.tasks.values()].filter((task) => task.state === 'delayed').map((task) => task.dueAt ?? 0),
    ];
    return instants.length === 0 ? null : Math.min(...instants);
  }

  /** How many tasks are in each state. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { state } of this.tasks.values()) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  }

  #refusal({ run, expected, lease, unleased, requeues, dedupe, opens }: PlainChange): string | null {
    if ((this.heads.get(run) ?? 0) !== expected) return 'conflict';
    const held = lease === null ? null : this.tasks.get(`${run}/${lease.task}`);
    if (lease !== null && (held?.state !== 'leased' || held.token !== lease.token)) return 'fenced';
    if (unleased !== null && this.tasks.get(`${run}/${unleased}`)?.state === 'leased') return 'fenced';
    if (requeues.some((task) => this.tasks.get(`${run}/${task.task}`)?.state !== 'leased')) return 'fenced';
    const taken = dedupe === null ? undefined : this.#dedupe.get(dedupe.key);
    if (taken !== undefined && taken.expiresAt > this.nowMs) return 'duplicate';
    return opens.some((task) => this.tasks.has(`${run}/${task.task}`)) ? 'unstorable' : null;
  }

  #put(run: string, given: PlainChange['opens'][number], token: number): void {
    const state = given.dueAt === null ? 'ready' : 'delayed';
    this.tasks.set(`${run}/${given.task}`, { run, ...given, state, token, session: null });
  }
}
