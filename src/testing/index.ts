/** The test kit for apps; and for stores and engines the conformance suite and the simulator with its checkers. */
export {
  fake,
  fakeModel,
  inTurn,
  testSpine,
  type FakeAnswer,
  type FakeCall,
  type FakeHandler,
  type FakeModel,
  type FakeModelAnswer,
  type FakeModelOptions,
  type FakeOptions,
  type FakeReply,
  type RunRef,
  type StepFake,
  type ApprovalWord,
  type TestAgent,
  type TestAnswer,
  type TestOutcome,
  type TestRun,
  type TestSpine,
  type TestSpineOptions,
  type TestStartOptions,
} from './kit/index.js';
export {
  exportedHistoryFormat,
  readExportedHistory,
  replayHistory,
  type ExportedHistory,
  type ReplayChange,
  type ReplayLevel,
  type ReplayReport,
} from '../worker/index.js';
export {
  exerciseStore,
  manualClock,
  storeCases,
  type ManualClock,
  type StoreCase,
  type StorePlace,
  type StoreWorld,
  type SuiteRunner,
} from './conformance/index.js';
export {
  checkEffects,
  checkEndings,
  checkers,
  checkLeases,
  checkLog,
  checkReadings,
  checkRequests,
  checkTimers,
  type Checker,
} from './simulator/checkers/all-checkers.js';
export type {
  BodyFeed,
  Execution,
  FinalState,
  History,
  Operation,
  Reading,
  StoreAction,
} from './simulator/history.js';
export { faultKinds, type FaultKind } from './simulator/nemesis.js';
export {
  simulate,
  type Flaws,
  type SimDisk,
  type SimulationOptions,
  type SimulationReport,
} from './simulator/simulation.js';
export { sharedDisk } from './simulator/shared-disk.js';
export type { BodyFlaw } from './simulator/scripted-body.js';
export type { WorkerFlaw } from './simulator/scripted-worker.js';
