/**
 * The door to models: an inference is given leave to call a version of a model, or has to wait. Here is the port behind
 * which limits stand, and what is granted where there are none.
 *
 * Invariant: what is granted is decided in the turn in which the intent is decided, so that both are in one commit.
 */
import { estimatedCostMicros } from '../../core/models/cost.js';
import { shareOf, versionOf } from '../../core/models/arms.js';
import { shadowOf } from '../../core/models/shadow.js';
import type { ModelManifest, ModelVersionManifest } from '../../core/manifest.js';
import type { Hash } from '../../core/ports.js';
import type { InferenceGrant, InferenceTicket } from '../../core/run/inference.js';

/** The version that is to be asked, and what goes with it. */
export interface Candidate {
  readonly model: ModelManifest;
  readonly version: ModelVersionManifest;
  readonly arm: string;
  readonly idempotencyKey: string;
  readonly reserved: InferenceGrant['reserved'];
  /** Version that may be asked beside it; null = none. */
  readonly shadow: string | null;
}

/** Whoever has a say in whether a model may be asked now. Must not throw. */
export interface Admission {
  /** `hold`: the inference waits, and `admitInference` lets it go on later. */
  ask(ticket: InferenceTicket, candidate: Candidate): InferenceGrant | 'hold';
}

/** The grant that a candidate comes to, counted in these limits. */
export function grantOf(
  { version, arm, idempotencyKey, reserved, shadow }: Candidate,
  limits: readonly string[],
  probe: string | null = null,
): InferenceGrant {
  const { version: name, endpoint } = version;
  return {
    version: name,
    arm,
    endpoint,
    idempotencyKey,
    reserved,
    limits,
    ...(probe === null ? {} : { probe }),
    ...(shadow === null ? {} : { shadow }),
  };
}

/**
 * What a ticket asks for, by the manifest of its model; null = the model has no version. A run stays with the version that it
 * has asked before, whatever weights have come since, for as long as there is that version. Only a reroute asks another one.
 */
export function candidateOf(ticket: InferenceTicket, model: ModelManifest, hash: Hash): Candidate | null {
  const { tenant, run, path, pinned, ask } = ticket;
  const wanted = ask.reroute ?? pinned;
  const kept = wanted === null ? undefined : model.versions.find((one) => one.version === wanted);
  const version = kept ?? versionOf(model, shareOf({ tenant, run, model: model.name }, hash));
  if (version === null) return null;
  const { inputTokens, outputTokens } = ask.estimate;
  return {
    model,
    version,
    arm: version.version,
    idempotencyKey: keyOf(ticket, hash),
    reserved: { tokens: inputTokens + outputTokens, costMicros: estimatedCostMicros(version.price, ask.estimate) },
    shadow: shadowOf(model, version.version, { tenant, run, path }, hash),
  };
}

/** Fits a header of any provider. All attempts have the same where that is how an ambiguous one is settled. */
function keyOf({ tenant, run, path, first, attempt, ask }: InferenceTicket, hash: Hash): string {
  const part = ask.policy.includes('retry-with-same-key') ? '' : String(attempt);
  return `evs-${hash.sha256([tenant, run, path, first, part].join('\0')).slice(0, keyDigits)}`;
}

const keyDigits = 40;
