/**
 * P4 and P8 for remedies: what is asked in the place of an inference that has failed follows from what was recorded of the
 * failure. A reroute goes where its record says, is asked one time, and no run succeeds that has forgotten one.
 */
import { readRunEvent } from '../../../engine/events/rows.js';
import type { RunEvent } from '../../../core/run/events.js';
import type { TakenRemedy } from '../../../core/remedies.js';
import type { Violation } from '../../../store/index.js';
import type { History } from '../history.js';

/** Every breach. */
export function checkRemedies(history: History): Violation[] {
  const violations: Violation[] = [];
  for (const [key, rows] of history.final?.histories ?? []) {
    const [tenant = '', subject = ''] = key.split('/');
    checkRun(
      rows.map((row) => readRunEvent(row).event),
      (property, detail) => violations.push({ property, tenant, subject, detail }),
    );
  }
  return violations;
}

function checkRun(events: readonly RunEvent[], report: (property: string, detail: string) => void): void {
  /** What is to be done about what has failed. */
  const owed = new Map<string, TakenRemedy>();
  const mended = new Map<string, string>();
  for (const event of events) {
    switch (event.type) {
      case 'inference.failed': {
        const { path, remedy } = event.data;
        if (remedy?.name === 'reroute' || remedy?.name === 'compact') owed.set(path, remedy);
        break;
      }
      case 'inference.requested': {
        const { path, chain, reroute, grant, attempt } = event.data;
        if (!path.includes('/again:')) break;
        const after = chain?.after ?? '';
        const remedy = owed.get(after);
        if (remedy === undefined) report('P4', `${path} is asked, and nothing says so of ${after} before ${event.seq}`);
        if (remedy?.version !== reroute)
          report('P8', `${path} is asked of ${reroute}, where ${remedy?.version} was due`);
        if (reroute !== undefined && grant !== null && grant.version !== reroute)
          report('P8', `${path} was given ${grant.version} at attempt ${attempt}, where ${reroute} was asked for`);
        mended.set(after, path);
        break;
      }
      case 'run.redriven':
        for (const path of event.data.paths) {
          owed.delete(path);
          mended.delete(path);
        }
        break;
      case 'run.succeeded':
        for (const path of owed.keys())
          if (!mended.has(path)) report('P4', `the run succeeded, and what was due for ${path} was forgotten`);
        break;
      default:
    }
  }
}
