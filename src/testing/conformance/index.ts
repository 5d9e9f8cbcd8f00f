/** The store conformance suite, and the rows and transitions it is written with. */
export {
  exerciseStore,
  manualClock,
  storeCases,
  type ManualClock,
  type StoreCase,
  type StorePlace,
  type StoreWorld,
  type SuiteRunner,
} from './suite.js';
