/**
 * Signals as values: a name and the schema of what comes with it. A signal is sent to one run, by whoever has its id, and
 * is kept there until the run waits for it.
 */
import type { InferInput, InferOutput, StandardSchema } from '../core/standard-schema.js';
import { OptionFaults } from './options.js';

/** Options of `signal`. */
export interface SignalOptions<S extends StandardSchema> {
  /** Schema of the data that comes with the signal. Default: anything is taken. */
  readonly schema?: S;
}

/** A signal. `In` is what senders give, `Data` what the run gets (they differ where the schema transforms). */
export interface Signal<Name extends string = string, In = unknown, Data = unknown> {
  readonly kind: 'signal';
  readonly name: Name;
  readonly schema: StandardSchema | null;
  /** Types only; never set. A method, so that its parameter may vary both ways. */
  readonly types?: { send(data: In): void; readonly data: Data };
}

/** Defines a signal. Fails with OPTIONS_INVALID, naming all faults. */
export function signal<const Name extends string, S extends StandardSchema = StandardSchema>(
  name: Name,
  options: SignalOptions<S> = {},
): Signal<Name, InferInput<S>, InferOutput<S>> {
  const faults = new OptionFaults(`signal "${name}"`);
  faults.name(name);
  faults.unknownNames(options, ['schema']);
  faults.schema('schema', options.schema);
  faults.throwIfAny();
  return { kind: 'signal', name, schema: options.schema ?? null };
}
