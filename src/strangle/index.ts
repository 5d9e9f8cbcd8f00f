/**
 * `eventspine/strangle`: keeps a synchronous route and moves its work to a workflow, a share of the requests at a time.
 */
export { compareBy, type Compare, type CompareRules, type Difference } from './compare.js';
export type { DurationCounts, DurationView } from './durations.js';
export type { AnyHandler, SeenAnswer, StrangleRequest } from './exchange.js';
export type { Choice, Fallback, StrangleLogEntry, StrangleOptions } from './options.js';
export { type FleetReport, type FleetReportQuery, readReports } from './fleet-report.js';
export { orderStrangled, readOrders, type OrderClient, type StrangleOrder } from './orders.js';
export {
  type DifferenceCount,
  type ReportPart,
  type StrangleReport,
  Tally,
  type TallyName,
  type TimedName,
} from './report.js';
export { strangle, type Strangled } from './strangle.js';
export {
  strangleOrders,
  strangleReports,
  strangleTopics,
  type StrangleOrdered,
  type StrangleReported,
} from './topics.js';
