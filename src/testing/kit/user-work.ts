/**
 * What user code is at work: steps, handlers and bodies, with what each of them waits for. The driver asks it whether
 * waiting for real time can bring anything.
 */
import type { Activation } from '../../workflow/index.js';

/** A step or handler that has not returned. */
interface Work {
  readonly what: string;
  readonly run: string;
  /** Waits on the virtual clock, so that real time brings nothing. */
  sleeping: number;
}

interface Body {
  readonly run: string;
  readonly workflow: string;
  readonly activation: Activation;
  /** What it asked for and was not told of. */
  readonly open: Set<string>;
}

/** A body that goes on for something that is not of `ctx`, or has lost its way. */
export type ForeignBody = Pick<Body, 'run' | 'workflow'>;

/** See the top of the module. */
export class UserWork {
  readonly #work = new Set<Work>();
  readonly #bodies = new Set<Body>();
  /** By run and path, how often it has begun. */
  readonly #begun = new Map<string, Map<string, number>>();

  /** A step or handler begins, at its path; or something of which it does not matter how often it begins. */
  begin(what: string, run: string, path?: string): Work {
    const work: Work = { what, run, sleeping: 0 };
    this.#work.add(work);
    if (path === undefined) return work;
    const ofRun = this.#begun.get(run) ?? new Map<string, number>();
    this.#begun.set(run, ofRun.set(path, (ofRun.get(path) ?? 0) + 1));
    return work;
  }

  /** How often each step and handler of a run has begun, by path. */
  executions(run: string): ReadonlyMap<string, number> {
    return this.#begun.get(run) ?? new Map();
  }

  end(work: Work): void {
    this.#work.delete(work);
  }

  /** Watches a body to its end; what it asks for and is told of goes into `open`. */
  watch(activation: Activation, run: string, workflow: string, open: Set<string>): void {
    const body: Body = { run, workflow, activation, open };
    this.#bodies.add(body);
    void activation.ended.then(() => this.#bodies.delete(body));
  }

  /** Steps and handlers that real time may bring to an end. */
  atWork(): readonly string[] {
    return [...this.#work].filter(({ sleeping }) => sleeping === 0).map(({ what, run }) => `${what} (run ${run})`);
  }

  /** Bodies that wait for nothing that they asked for, with no step of theirs at work. */
  foreign(): readonly ForeignBody[] {
    return [...this.#bodies].filter(
      ({ activation, open, run }) =>
        !activation.waiting && open.size === 0 && ![...this.#work].some((work) => work.run === run),
    );
  }
}

export type { Work };
