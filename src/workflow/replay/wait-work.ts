/**
 * The work behind `ctx.waitFor` and `ctx.approve`: one command that opens the wait, and one that gives it up when its
 * branch has lost, so that what comes later is there for others.
 */
import { SpineError } from '../../core/errors.js';
import type { BodyCommand } from '../../core/run/commands.js';
import type { StandardSchema } from '../../core/standard-schema.js';
import { isCancelled } from '../cancelled.js';
import type { Review } from '../approval.js';
import type { Signal } from '../signal.js';
import type { Topic } from '../topic.js';
import { upcast } from '../topic-versions.js';
import type { Received } from '../wait-for.js';
import type { PathRecord } from './path-record.js';
import type { ReceivedOutcome, Wait, Work } from './wait.js';

/** What the work asks of the body that it belongs to. */
export interface WaitHost {
  submit(command: BodyCommand): void;
  recordOf(path: string): PathRecord | undefined;
}

/** See the top of the module. */
export class WaitWork implements Work {
  readonly #path: string;
  readonly #host: WaitHost;
  readonly #open: (wait: Wait) => void;
  readonly #shape: (outcome: ReceivedOutcome, value: unknown) => unknown;
  #launched = false;

  constructor(
    path: string,
    host: WaitHost,
    open: (wait: Wait) => void,
    shape: (outcome: ReceivedOutcome, value: unknown) => unknown,
  ) {
    this.#path = path;
    this.#host = host;
    this.#open = open;
    this.#shape = shape;
  }

  launch(wait: Wait): void {
    this.#launched = true;
    this.#open(wait);
  }

  abort(reason: unknown): void {
    // The server closes everything itself where the run was cancelled or has ended.
    if (!isCancelled(reason) || reason.by === 'run_cancelled') return;
    const record = this.#host.recordOf(this.#path);
    if (record === undefined ? !this.#launched : record.closed) return;
    this.#host.submit({ op: 'cancelWait', path: this.#path });
  }

  receive(outcome: ReceivedOutcome, value: unknown): unknown {
    return this.#shape(outcome, value);
  }
}

/** What `ctx.waitFor` results in: null when its time was up. */
export function received(name: string, on: Topic | Signal, outcome: ReceivedOutcome, value: unknown): unknown {
  if (outcome.tag !== 'received') return null;
  const { id, at, written } = outcome;
  const make = (data: unknown): Received => ({ id, at, data });
  if (on.kind !== 'topic' || written === undefined || on.versions.length === 0)
    return checked(name, on.schema, value, make);
  return upcast(on, written, value).then((raised) => checked(name, on.schema, raised, make));
}

/** What `ctx.approve` results in. */
export function reviewed(name: string, form: StandardSchema | null, outcome: ReceivedOutcome, value: unknown): unknown {
  if (outcome.tag !== 'decided') return { outcome: 'expired', at: outcome.at } satisfies Review;
  const { by, at } = outcome;
  const answer = (value ?? {}) as { readonly form?: unknown; readonly comment?: string | null };
  const comment = answer.comment ?? null;
  if (outcome.outcome === 'rejected') return { outcome: 'rejected', by, at, comment } satisfies Review;
  return checked(name, form, answer.form, (data): Review => ({ outcome: 'approved', by, at, form: data, comment }));
}

/** The value as the schema gives it back; null = there is no schema. Fails with INPUT_INVALID. */
export async function checkedBy(name: string, schema: StandardSchema | null, value: unknown): Promise<unknown> {
  return checked(name, schema, value, (data) => data);
}

/** Through the schema, whose own kind of value the body gets. The server has checked the plain JSON before. */
function checked<T>(
  name: string,
  schema: StandardSchema | null,
  value: unknown,
  make: (data: unknown) => T,
): T | Promise<T> {
  if (schema === null) return make(value);
  const result = schema['~standard'].validate(value);
  return result instanceof Promise ? result.then((late) => made(name, late, make)) : made(name, result, make);
}

function made<T>(
  name: string,
  result: Awaited<ReturnType<StandardSchema['~standard']['validate']>>,
  make: (data: unknown) => T,
): T {
  if (result.issues !== undefined) {
    const faults = result.issues.map((issue) => issue.message);
    throw new SpineError('INPUT_INVALID', { name, faults });
  }
  return make(result.value);
}
