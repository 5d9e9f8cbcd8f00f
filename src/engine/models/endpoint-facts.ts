/** How the endpoints of models stand with their breakers and pauses, for metrics. */
import type { EndpointFacts } from '../api.js';
import type { Breakers } from './breakers.js';
import type { Pauses } from './pauses.js';

/** In the order of their names. */
export function endpointFacts(breakers: Breakers, pauses: Pauses): EndpointFacts[] {
  const endpoints = new Set([...breakers.endpoints(), ...pauses.endpoints()]);
  return [...endpoints].sort().map((endpoint) => ({
    endpoint,
    breaker: breakers.of(endpoint).state,
    ...breakers.counts(endpoint),
    isPaused: pauses.until(endpoint) !== null,
    refusedPaused: pauses.refused(endpoint),
  }));
}
