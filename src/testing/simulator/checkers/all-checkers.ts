/** All checkers: each looks at a history and names every breach of its properties. */
import type { Violation } from '../../../store/index.js';
import type { History } from '../history.js';
import { checkAgents } from './agents.js';
import { checkBridges } from './bridges.js';
import { checkEffects } from './effects.js';
import { checkEndings } from './endings.js';
import { checkEndpoints } from './endpoints.js';
import { checkFamily } from './family.js';
import { checkFleet } from './fleet.js';
import { checkGraphs } from './graphs.js';
import { checkAiPrograms } from './ai-programs.js';
import { checkInferences } from './inferences.js';
import { checkLeases } from './leases.js';
import { checkLimits } from './limits.js';
import { checkLog } from './log.js';
import { checkNeighbours } from './neighbours.js';
import { checkPredictions } from './predictions.js';
import { checkKeys } from './keys.js';
import { checkPulls } from './pulls.js';
import { checkReadings } from './readings.js';
import { checkRedrives } from './redrives.js';
import { checkRemedies } from './remedies.js';
import { checkRequests } from './requests.js';
import { checkSagas } from './sagas.js';
import { checkShadows } from './shadows.js';
import { checkStreams } from './streams.js';
import { checkSubscriptions } from './subscriptions.js';
import { checkTicks } from './ticks.js';
import { checkTimers } from './timers.js';
import { checkTopicLogs } from './topic-logs.js';
import { checkWaits } from './waits.js';
import { checkVersions } from './versions.js';

export {
  checkAgents,
  checkAiPrograms,
  checkBridges,
  checkEffects,
  checkEndings,
  checkEndpoints,
  checkFamily,
  checkFleet,
  checkGraphs,
  checkInferences,
  checkLeases,
  checkLimits,
  checkLog,
  checkNeighbours,
  checkPredictions,
  checkKeys,
  checkPulls,
  checkReadings,
  checkRedrives,
  checkRemedies,
  checkRequests,
  checkSagas,
  checkShadows,
  checkStreams,
  checkSubscriptions,
  checkTicks,
  checkTimers,
  checkTopicLogs,
  checkWaits,
  checkVersions,
};

/** Looks at a finished history. */
export type Checker = (history: History) => Violation[];

/** In the order in which a reader wants to hear of breaches: causes before consequences. */
export const checkers: readonly Checker[] = [
  checkNeighbours,
  checkLeases,
  checkLimits,
  checkVersions,
  checkLog,
  checkTimers,
  checkTicks,
  checkEffects,
  checkInferences,
  checkEndpoints,
  checkPredictions,
  checkAiPrograms,
  checkRemedies,
  checkGraphs,
  checkRedrives,
  checkRequests,
  checkPulls,
  checkKeys,
  checkBridges,
  checkWaits,
  checkSubscriptions,
  checkAgents,
  checkFamily,
  checkSagas,
  checkShadows,
  checkStreams,
  checkReadings,
  checkTopicLogs,
  checkFleet,
  checkEndings,
];
