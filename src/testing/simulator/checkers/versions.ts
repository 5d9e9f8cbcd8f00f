/**
 * Versions: a body is given only to a worker that has the version of its run, and that version is what the run was
 * started with or migrated to by then.
 */
import { readRunEvent } from '../../../engine/events/rows.js';
import type { EventRow, Violation } from '../../../store/index.js';
import { keyOfRun, type History } from '../history.js';

/** Every body in wrong hands. */
export function checkVersions(history: History): Violation[] {
  const violations: Violation[] = [];
  for (const feed of history.bodies) {
    const { tenant, run, assignment, session, head, version, versions } = feed;
    const report = (detail: string): void => {
      violations.push({
        property: 'versions',
        tenant,
        subject: run,
        detail: `assignment ${assignment} of ${session} ${detail}`,
      });
    };
    if (!versions.includes(version)) report(`is of version ${version}, and its worker has ${versions.join()}`);
    const due = versionAt(history.final?.histories.get(keyOfRun(feed)) ?? [], head);
    if (due !== undefined && due !== version) report(`is of version ${version}, and the run was of ${due} by ${head}`);
  }
  return violations;
}

/** The version of a run after its event `head`; undefined = it is not there. */
function versionAt(rows: readonly EventRow[], head: number): string | null | undefined {
  let version: string | null | undefined;
  for (const row of rows) {
    if (row.seq > head) break;
    if (row.type !== 'run.started' && row.type !== 'run.migrated') continue;
    const { event } = readRunEvent(row);
    if (event.type === 'run.started') version = event.data.version;
    if (event.type === 'run.migrated') version = event.data.to;
  }
  return version;
}
