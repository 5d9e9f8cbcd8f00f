/**
 * An engine for tests of the server: every method that a test does not give refuses, so that a handler that asks for
 * more than it should is found out.
 */
import type { Engine } from '../engine/api.js';

const names = [
  'start',
  'stop',
  'now',
  'secret',
  'register',
  'definitions',
  'startRuns',
  'publish',
  'cancel',
  'redrive',
  'discard',
  'putSchedule',
  'pauseSchedule',
  'resumeSchedule',
  'removeSchedule',
  'triggerSchedule',
  'readSchedule',
  'listSchedules',
  'readRun',
  'readResult',
  'readHistory',
  'readDecisions',
  'inferences',
  'remedies',
  'exportHistory',
  'listRuns',
  'listDeadLetters',
  'readDeadLetter',
  'redriveDeadLetter',
  'editDeadLetter',
  'correctDeadLetter',
  'countDeadLetters',
  'beginRedrive',
  'readRedrive',
  'listRedrives',
  'cancelRedrive',
  'readTopic',
  'listTopics',
  'signal',
  'listApprovals',
  'readApproval',
  'sayOfApproval',
  'fleet',
  'queues',
  'workers',
  'tally',
  'readTriage',
  'changeTriage',
  'listModels',
  'readModel',
  'changeModel',
  'modelReport',
  'modelEvents',
  'reportOutcome',
  'listLimits',
  'readLimit',
  'putLimit',
  'resetLimit',
  'limitFacts',
  'endpointFacts',
  'health',
  'doctor',
  'follow',
  'waitForEnd',
  'putBlob',
  'readBlob',
  'connect',
  'currentDefinitions',
  'holdDuty',
  'beatFor',
  'submitFor',
  'endSession',
] as const satisfies readonly (keyof Engine)[];

/** An engine of which only `methods` work. */
export function fakeEngine(methods: Partial<Engine> = {}): Engine {
  const refusing = Object.fromEntries(
    names.map((name) => [
      name,
      () => {
        throw new Error(`The test gave the fake engine no "${name}"`);
      },
    ]),
  );
  return { ...(refusing as unknown as Engine), ...methods };
}
