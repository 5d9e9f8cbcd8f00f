/**
 * The way to a model: which version a run asks, whether its endpoint may be called, and whether limits let it. Asked in the
 * turn in which an intent is decided, so that it goes by what this server has in memory.
 *
 * Invariant: a run that has asked a version of a model asks no other while there is that version.
 */
import type { ModelManifest } from '../../core/manifest.js';
import type { Hash } from '../../core/ports.js';
import type { InferenceGrant, InferenceTicket, InferenceWait } from '../../core/run/inference.js';
import { candidateOf, type Admission } from './admission.js';
import type { Breakers } from './breakers.js';
import type { Pauses } from './pauses.js';

export interface ModelDoorOptions {
  /** Models with the weights in force. */
  readonly model: (name: string) => ModelManifest | null;
  readonly breakers: Pick<Breakers, 'shutUntil' | 'closedUntil' | 'probeOf'>;
  readonly pauses: Pick<Pauses, 'shutUntil'>;
  readonly admission: Admission;
  readonly hash: Hash;
}

export class ModelDoor {
  readonly #options: ModelDoorOptions;

  constructor(options: ModelDoorOptions) {
    this.#options = options;
  }

  /** The version that the run would ask; null = there is no such model. */
  versionOf(ticket: InferenceTicket): string | null {
    const { model: find, hash } = this.#options;
    const model = find(ticket.ask.model);
    return model === null ? null : (candidateOf(ticket, model, hash)?.version.version ?? null);
  }

  /** See `DecideContext.admit`. */
  admit(ticket: InferenceTicket, now: number): InferenceGrant | InferenceWait | null {
    const { model: find, breakers, pauses, admission, hash } = this.#options;
    const model = find(ticket.ask.model);
    const candidate = model === null ? null : candidateOf(ticket, model, hash);
    if (candidate === null) return null;
    const { version, endpoint } = candidate.version;
    // Before the breaker, or a probe would be let through that nobody may make.
    const paused = pauses.shutUntil(endpoint);
    if (paused !== null) return { version, endpoint, until: paused, paused: true };
    const answer = admission.ask(ticket, candidate);
    // What waits for limits probes when it has been let in, and not before.
    const caller = callerOf(ticket);
    const until = answer === 'hold' ? breakers.closedUntil(endpoint, now) : breakers.shutUntil(endpoint, caller, now);
    if (until !== null) return { version, endpoint, until };
    if (answer === 'hold') return { version, endpoint, until: null };
    const probe = breakers.probeOf(endpoint, caller);
    return probe === null ? answer : { ...answer, probe };
  }
}

/** Whoever would call: an attempt of an inference, told apart from all others. */
export function callerOf({
  tenant,
  run,
  path,
  attempt,
}: Pick<InferenceTicket, 'tenant' | 'run' | 'path' | 'attempt'>): string {
  return [tenant, run, attempt, path].join('/');
}
