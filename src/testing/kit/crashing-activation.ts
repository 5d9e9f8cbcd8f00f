/**
 * Activations whose bodies die again and again: when something is committed, and the body has not heard of it yet, the
 * body is dropped and begun anew over what is recorded, as after a crash of its process. Engine and worker notice nothing.
 *
 * Invariant: a dropped life commits nothing more. What of it is still running (a step that awaits something real) runs on
 * in vain, and the next life runs it again: at least once, as after a crash.
 */
import { isIntent, type AbortReason, type JournalEntry, type SubmissionResult } from '../../core/run/journal.js';
import type { Payload } from '../../core/payload.js';
import { endsOrParks, type BodyCommand } from '../../core/run/commands.js';
import type {
  Activation,
  ActivationEnd,
  ActivationHost,
  ActivationInput,
  BeginActivation,
} from '../../workflow/index.js';

/** When bodies die, and when they are told things twice. */
export interface CrashPlan {
  /** Something was committed that the body is about to hear of: is it dropped first? */
  dies(): boolean;
  /** Is it told twice? */
  repeats(): boolean;
}

/** `begin` under a plan of crashes. `died` is called with each death. */
export function crashingActivation(begin: BeginActivation, plan: CrashPlan, died: () => void): BeginActivation {
  return (definition, input, host) => new CrashingActivation({ begin, plan, died, definition, input, host });
}

interface Parts {
  readonly begin: BeginActivation;
  readonly plan: CrashPlan;
  readonly died: () => void;
  readonly definition: unknown;
  readonly input: ActivationInput;
  readonly host: ActivationHost;
}

class CrashingActivation implements Activation {
  readonly ended: Promise<ActivationEnd>;
  readonly #parts: Parts;
  readonly #entries: JournalEntry[];
  #head: number;
  readonly #streams = new Map<string, number>();
  #progress: number;
  /** Results as they were first sent, by path: the server does not send them back. */
  readonly #results = new Map<string, Payload>();
  /** External effects and inferences that were begun and have no outcome. A death now would be one whose outcome nobody knows. */
  readonly #begun = new Set<string>();
  #life = 0;
  #inner: Activation;
  /** The last life is over, and what it had sent is not answered yet. */
  #dying = false;
  /** Submissions of this life that are not answered yet. */
  #own = new Set<number>();
  /** The submission by which this life wants to end or to park; 0 = none. */
  #last = 0;
  #resolveEnded: (end: ActivationEnd) => void = () => undefined;

  constructor(parts: Parts) {
    const { head, progress, entries } = parts.input.journal;
    this.#parts = parts;
    this.#entries = [...entries];
    this.#head = head;
    this.#progress = progress;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#inner = this.#begin();
  }

  get waiting(): boolean {
    return !this.#dying && this.#inner.waiting;
  }

  get seen(): number {
    return this.#head;
  }

  deliver(events: readonly JournalEntry[]): void {
    const fresh = events.filter((event) => event.seq > this.#head).map((event) => this.#whole(event));
    for (const event of fresh) this.#keep(event);
    if (this.#dying) return;
    this.#inner.deliver(fresh);
    if (this.#parts.plan.repeats()) this.#inner.deliver(fresh);
    if (fresh.some((event) => !isIntent(event))) this.#perhapsDie();
  }

  settle(result: SubmissionResult): void {
    const isOwn = this.#own.delete(result.i);
    if (this.#dying || !isOwn) {
      // The answer to a life that is over; only the loss of the lease concerns the next.
      if (!result.ok && (result.code === 'LEASE_LOST' || result.code === 'SESSION_GONE'))
        return this.abort('lease_lost');
      return this.#perhapsRise();
    }
    if (result.i === this.#last && !result.ok) this.#last = 0;
    this.#inner.settle(result);
  }

  get resting(): boolean {
    return !this.#dying && this.#inner.resting;
  }

  hurry(): void {
    this.#inner.hurry();
  }

  abort(reason: AbortReason): void {
    if (!this.#dying) return this.#inner.abort(reason);
    this.#dying = false;
    this.#resolveEnded('aborted');
  }

  #begin(): Activation {
    const { begin, definition, input, host } = this.#parts;
    const life = ++this.#life;
    this.#own = new Set();
    this.#last = 0;
    const streams = Object.fromEntries(this.#streams);
    const { prompts = {} } = input.journal;
    const journal = { head: this.#head, progress: this.#progress, streams, prompts, entries: [...this.#entries] };
    const inner = begin(definition, { ...input, journal }, { ...this.#hostOf(host) });
    void inner.ended.then((end) => {
      if (life === this.#life) this.#resolveEnded(end);
    });
    return inner;
  }

  #hostOf(host: ActivationHost): ActivationHost {
    return {
      ports: host.ports,
      parkAfterMs: host.parkAfterMs,
      ...(host.valueBytesMax === undefined ? {} : { valueBytesMax: host.valueBytesMax }),
      submit: (commands) => this.#submit(commands),
      store: (payload) => host.store(payload),
      load: (payload) => host.load(payload),
      log: (record) => host.log(record),
      model: (name) => host.model?.(name) ?? null,
      mirror: (inference) => host.mirror?.(inference),
      remedies: host.remedies ?? {},
      ...(host.tools === undefined ? {} : { tools: host.tools }),
      ...(host.onlooker === undefined ? {} : { onlooker: host.onlooker }),
    };
  }

  #submit(commands: readonly BodyCommand[]): number {
    for (const command of commands) this.#note(command);
    const i = this.#parts.host.submit(commands);
    this.#own.add(i);
    if (commands.some(endsOrParks)) this.#last = i;
    return i;
  }

  #note(command: BodyCommand): void {
    if (command.op === 'progress') this.#progress = Math.max(this.#progress, command.index + 1);
    // Of the body itself; what an attempt of a step has written is begun anew with the next attempt.
    if (command.op === 'append' && command.attempt === 0)
      this.#streams.set(command.path, Math.max(this.#streams.get(command.path) ?? 0, command.from + command.count));
    const own = ownOf(command);
    if (own !== null && !this.#results.has(own.path)) this.#results.set(own.path, own.value);
  }

  /** The entry as a journal has it. */
  #whole(event: JournalEntry): JournalEntry {
    const isOwn =
      event.type === 'step.completed' || event.type === 'inference.completed' || event.type === 'context.put';
    if (!isOwn || event.payload !== undefined) return event;
    const payload = this.#results.get(event.data.path);
    return payload === undefined ? event : { ...event, payload };
  }

  #keep(event: JournalEntry): void {
    this.#head = event.seq;
    this.#entries.push(event);
    if (!('path' in event.data) || event.type === 'input.edited') return;
    const { path } = event.data;
    if (isIntent(event)) this.#begun.add(path);
    else if (event.type !== 'inference.identified') this.#begun.delete(path);
  }

  #perhapsDie(): void {
    if (this.#last !== 0 || this.#begun.size > 0 || !this.#parts.plan.dies()) return;
    this.#parts.died();
    this.#life += 1;
    this.#dying = true;
    this.#inner.abort('lease_lost');
    this.#perhapsRise();
  }

  /** What a life had sent is committed or refused before the next one looks: a new lease fences out the old. */
  #perhapsRise(): void {
    if (!this.#dying || this.#own.size > 0) return;
    this.#dying = false;
    this.#inner = this.#begin();
  }
}

/** What the server does not send back, since it came from here. */
function ownOf(command: BodyCommand): { readonly path: string; readonly value: Payload } | null {
  switch (command.op) {
    case 'completeStep':
    case 'completeInference':
      return { path: command.path, value: command.result };
    case 'putContext':
      return { path: command.path, value: command.value };
    default:
      return null;
  }
}
