/**
 * Endpoints of models in storms: of one breaker there is one probe at a time in the whole world; while it is open nobody is let
 * through, and while somebody probes nobody else; and inside of a pause that an endpoint has asked for nobody is. Servers that
 * have not heard of it yet are given a moment.
 */
import type { Breaker } from '../../../core/models/breaker.js';
import type { RunEventData } from '../../../core/run/events.js';
import { parseEnvelope } from '../../../engine/events/envelope-writer.js';
import { breakerSpace } from '../../../engine/models/breakers.js';
import { pauseSpace } from '../../../engine/models/pauses.js';
import type { EntryWrite, EventWrite, Violation } from '../../../store/index.js';
import type { History } from '../history.js';

/** How long it takes until all servers have heard, world time. */
const heardMs = 3_000;

/** Every breach, in the order of its happening. */
export function checkEndpoints(history: History): Violation[] {
  if (history.breaker === null) return [];
  const endpoints = new Map<string, Endpoint>();
  const violations: Violation[] = [];
  for (const action of history.actions) {
    if (action.kind !== 'apply' || action.outcome.tag !== 'applied') continue;
    const { tenant, entries = [], events = [] } = action.transition;
    const endpointOf = (name: string): Endpoint => {
      const known = endpoints.get(name) ?? new Endpoint(name, history.deafSpots > 0, violations);
      endpoints.set(name, known);
      return known;
    };
    for (const event of events) {
      const grant = grantIn(event);
      if (grant !== null) endpointOf(grant.endpoint).let(`${tenant}/${event.run}`, grant, action.atMs);
    }
    for (const write of entries) {
      if (write.space === breakerSpace) endpointOf(write.key).moved(write, action.atMs);
      if (write.space === pauseSpace) endpointOf(write.key).paused(write, action.atMs);
    }
  }
  return violations;
}

/** An inference that was let through. */
interface Passage {
  readonly endpoint: string;
  readonly what: string;
  /** On the store's clock. */
  readonly at: number;
}

function grantIn({ type, at, envelope }: EventWrite): Passage | null {
  if (type !== 'inference.requested' && type !== 'inference.admitted') return null;
  const { path, attempt, grant } = parseEnvelope(envelope).data as RunEventData['inference.requested'];
  return grant === null ? null : { endpoint: grant.endpoint, what: `${path} ${attempt}`, at };
}

class Endpoint {
  readonly #name: string;
  /** Some server may have been deaf for longer than a moment. */
  readonly #isLenient: boolean;
  readonly #violations: Violation[];
  #breaker: Breaker | null = null;
  /** Since when it is not closed, world time. */
  #shutMs = 0;
  readonly #probing = new Set<string>();
  #pause: { readonly until: number; readonly toldMs: number } | null = null;

  constructor(name: string, isLenient: boolean, violations: Violation[]) {
    this.#name = name;
    this.#isLenient = isLenient;
    this.#violations = violations;
  }

  moved(write: EntryWrite, atMs: number): void {
    const before = this.#breaker;
    const after = write.op === 'put' ? (JSON.parse(write.value) as Breaker) : null;
    this.#breaker = after;
    if (!isShut(before) && isShut(after)) this.#shutMs = atMs;
    if (after?.state !== 'half-open') return this.#probing.clear();
    if (before?.state !== 'half-open') return this.#probing.clear();
    if (before.probe === after.probe) return;
    // A probe is given up when its time is over, and not before.
    if (write.op === 'put' && write.at < before.probeUntil)
      this.#report(`a second probe was taken ${before.probeUntil - write.at} ms before the first was over`);
    this.#probing.clear();
  }

  paused(write: EntryWrite, atMs: number): void {
    const until = write.op === 'put' ? (JSON.parse(write.value) as { readonly until: number }).until : null;
    if (until === null) this.#pause = null;
    // Of one that is made longer, its servers knew before.
    else this.#pause = { until, toldMs: this.#pause === null ? atMs : Math.max(this.#pause.toldMs, atMs) };
  }

  let(run: string, { what, at }: Passage, atMs: number): void {
    if (this.#pause !== null && at < this.#pause.until && this.#isHeard(this.#pause.toldMs, atMs))
      this.#report(`${run} ${what} was let through ${this.#pause.until - at} ms before the end of a pause`);
    if (!isShut(this.#breaker) || !this.#isHeard(this.#shutMs, atMs)) return;
    if (this.#breaker?.state === 'open')
      return this.#report(`${run} ${what} was let through while the breaker is open`);
    this.#probing.add(`${run} ${what}`);
    if (this.#probing.size > 1) this.#report(`${[...this.#probing].join(' and ')} probe at one time`);
  }

  #isHeard(sinceMs: number, atMs: number): boolean {
    return !this.#isLenient && atMs > sinceMs + heardMs;
  }

  #report(detail: string): void {
    this.#violations.push({ property: 'endpoints', tenant: '', subject: this.#name, detail });
  }
}

function isShut(breaker: Breaker | null): boolean {
  return breaker !== null && breaker.state !== 'closed';
}
