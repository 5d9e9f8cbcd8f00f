/**
 * Replays the history of a run on the code of an app, without a server and without any effect: what `eventspine check`,
 * golden tests and the test kit share.
 */
import type { ExportedHistory } from '../core/run/exported-history.js';
import { nodePorts } from '../runtime/index.js';
import type { AnyApp } from '../workflow/app.js';
import { shadowReplay, type ShadowReport } from '../workflow/replay/shadow-replay.js';
import { reportReplay, type ReplayReport } from '../workflow/replay/replay-report.js';

/**
 * What the newest version of the workflow in this app would have made of the event that started the run, beside what the run
 * came to. Steps with `effect: 'pure'` are done anew; all else is answered out of the history, and nothing is started, called
 * or published. Fails with HISTORY_INVALID and WORKFLOW_UNKNOWN.
 */
export function shadowHistory(app: AnyApp, history: ExportedHistory): Promise<ShadowReport> {
  return shadowReplay(app, history, nodePorts);
}

/**
 * What would become of the run on this code: replays it to the end of its history and compares. Nothing is started, called
 * or published; only the body itself runs. Fails with HISTORY_INVALID.
 */
export function replayHistory(app: AnyApp, history: ExportedHistory): Promise<ReplayReport> {
  return reportReplay(app, history, nodePorts);
}
