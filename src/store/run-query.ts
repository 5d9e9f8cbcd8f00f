/** The filter of `listRuns`, written once for every store. The cursor and the order are the store's own business. */
import type { RunRow } from '../core/run/state.js';
import type { RunQuery } from './contract.js';

/** Rows that a page may look at before it is handed out, full or not; its cursor leads on from there. */
export const runScanItemsMax = 5_000;

/** True when the run belongs into the list. */
export function matchesRunQuery(row: RunRow, query: RunQuery): boolean {
  const { statuses, workflow, version, failureClass, label, startedFrom, startedBefore } = query;
  return (
    row.tenant === query.tenant &&
    (statuses === undefined || statuses.includes(row.status)) &&
    (workflow === undefined || row.workflow === workflow) &&
    (version === undefined || row.version === version) &&
    (failureClass === undefined || row.failureClass === failureClass) &&
    (startedFrom === undefined || row.startedAt >= startedFrom) &&
    (startedBefore === undefined || row.startedAt < startedBefore) &&
    (label === undefined || hasLabel(row, label.name, label.value))
  );
}

function hasLabel(row: RunRow, name: string, value: string): boolean {
  return row.labels !== null && Object.hasOwn(row.labels, name) && row.labels[name] === value;
}
