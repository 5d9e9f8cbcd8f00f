/**
 * What is recorded of access: refusals, and what operators and admins do. Events of the topic `eventspine.access` of the
 * tenant of the caller, written by servers only.
 */

/**
 * `allowed`: it was asked for and may be done; written before it is done, so that nothing is done that is not on record.
 * `failed`: it was allowed, and came to nothing. `refused`: the caller may not do it, or is not known.
 */
export type AccessOutcome = 'allowed' | 'failed' | 'refused';

/** The data of an event of the topic. */
export interface AccessRecord {
  readonly outcome: AccessOutcome;
  /** As in the events that the caller causes; null = nobody that is known. */
  readonly actor: string | null;
  /** Operation id of the route, as in /openapi.json; `*` for refusals of so many kinds that they are only counted. */
  readonly route: string;
  /** What the path names, `name=value` for each of its segments; "" = nothing, or several. */
  readonly target: string;
  /** Code of the error; null where there was none. */
  readonly code: string | null;
  /** What the caller has said why, for the record. */
  readonly reason: string | null;
  /** Requests that this event stands for: repeats of a refusal within a minute are one. */
  readonly count: number;
  /** Id of the request, or of the first of them. */
  readonly request: string;
  /** Instant of the first of them, ISO 8601. */
  readonly since: string;
}
