/**
 * P6 and P7 over the order in which things took effect: fencing tokens of a task only rise, a task has one holder at a
 * time, and a change under a lease is applied if and only if that lease is held just then. Also P22 in its simplest form:
 * a change is applied only to the head that it expected.
 */
import { leasesOf, type LeaseKey, type TaskRow, type Transition, type Violation } from '../../../store/index.js';
import { keyOfRun, type History, type StoreAction } from '../history.js';

interface Holding {
  token: number;
  leased: boolean;
}

/** Every breach, in the order of its happening. */
export function checkLeases(history: History): Violation[] {
  const model = new LeaseModel();
  for (const action of history.actions) model.look(action);
  return model.violations;
}

class LeaseModel {
  readonly violations: Violation[] = [];
  readonly #holdings = new Map<string, Holding>();
  /** Highest token of a task ever, also of one that was closed and opened anew. */
  readonly #highest = new Map<string, number>();
  readonly #heads = new Map<string, number>();

  look(action: StoreAction): void {
    if (action.kind === 'claim') for (const { task } of action.claimed) this.#claim(task, action.step);
    else if (action.kind === 'release') for (const lease of action.leases) this.#release(lease);
    else if (action.kind === 'apply') this.#apply(action.transition, action.outcome.tag, action.step);
  }

  #claim(task: TaskRow, step: number): void {
    const key = keyOfTask(task);
    const holding = this.#holdings.get(key);
    if (holding?.leased === true) this.#report('P7', task, `task ${task.task} was claimed while it was leased`, step);
    if (task.token <= (this.#highest.get(key) ?? 0))
      this.#report('P6', task, `token ${task.token} of task ${task.task} was given out before`, step);
    this.#highest.set(key, Math.max(task.token, this.#highest.get(key) ?? 0));
    this.#holdings.set(key, { token: task.token, leased: true });
  }

  #release(lease: LeaseKey): void {
    const holding = this.#holdings.get(keyOfTask(lease));
    if (holding?.token === lease.token) holding.leased = false;
  }

  #apply(transition: Transition, tag: string, step: number): void {
    const { tenant, unleased, runs = [], tasks = [] } = transition;
    const leases = leasesOf(transition);
    const isHeld = (lease: LeaseKey): boolean => {
      const holding = this.#holdings.get(keyOfTask(lease));
      return holding?.leased === true && holding.token === lease.token;
    };
    const allHeld = leases.every(isHeld);
    for (const lease of leases) {
      const held = isHeld(lease);
      if (tag === 'applied' && !held)
        this.#report(
          'P6',
          lease,
          `a change under token ${lease.token} of task ${lease.task} was applied, which is not held`,
          step,
        );
      if (
        tag === 'fenced' &&
        allHeld &&
        tasks.every((write) => write.op !== 'requeue' || this.#isLeased(tenant, write.run, write.task.task))
      )
        this.#report('P6', lease, `the holder of task ${lease.task} was fenced`, step);
    }
    if (tag !== 'applied') return;
    if (unleased !== undefined && this.#holdings.get(keyOfTask(unleased))?.leased === true)
      this.#report('P7', unleased, `task ${unleased.task} was taken to be free and is leased`, step);
    for (const { expected, row } of runs) {
      const head = this.#heads.get(keyOfRun(row)) ?? 0;
      if (head !== expected)
        this.#report('P22', row, `a change that expected head ${expected} was applied at ${head}`, step);
      this.#heads.set(keyOfRun(row), row.head);
    }
    for (const write of tasks) {
      const key = keyOfTask({ tenant, run: write.run, task: write.op === 'close' ? write.task : write.task.task });
      if (write.op === 'close') this.#holdings.delete(key);
      else this.#holdings.set(key, { token: this.#highest.get(key) ?? 0, leased: false });
    }
  }

  #isLeased(tenant: string, run: string, task: string): boolean {
    return this.#holdings.get(keyOfTask({ tenant, run, task }))?.leased === true;
  }

  #report(property: string, of: { readonly tenant: string; readonly run: string }, detail: string, step: number): void {
    this.violations.push({ property, tenant: of.tenant, subject: of.run, detail: `${detail} (step ${step})` });
  }
}

function keyOfTask(key: { readonly tenant: string; readonly run: string; readonly task: string }): string {
  return `${key.tenant}/${key.run}/${key.task}`;
}
