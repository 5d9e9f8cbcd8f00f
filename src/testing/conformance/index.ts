/** The store conformance suite, and the rows and transitions it is written with. */
export { manualClock, type ManualClock } from './manual-clock.js';
export type { StoreCase, StorePlace, StoreWorld } from './store-case.js';
export { exerciseStore, storeCases, type SuiteRunner } from './suite.js';
