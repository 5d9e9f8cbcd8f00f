/** The kit for tests of apps: an app in memory on a virtual clock, fakes, crashes, traps and replays. */
export { fake, inTurn, type FakeAnswer, type FakeCall, type FakeHandler, type FakeOptions } from './fakes.js';
export type { TestAgent, TestAnswer } from './test-agent.js';
export {
  fakeModel,
  type FakeModel,
  type FakeModelAnswer,
  type FakeModelOptions,
  type FakeReply,
} from './fake-model.js';
export {
  testSpine,
  type RunRef,
  type ApprovalWord,
  type TestOutcome,
  type TestRun,
  type TestSpine,
  type TestSpineOptions,
  type TestStartOptions,
} from './test-spine.js';
export type { StepFake } from './watched-bodies.js';
