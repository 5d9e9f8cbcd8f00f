/** Shows the way of a document through the pipeline: a bar while it goes, a line when it has arrived. */
import type { UploadedDocument } from './folder.ts';
import type { RunTrack } from './run-track.ts';
import { bar, type Screen } from './screen.ts';

const nameWidth = 26;
const barWidth = 24;

/** Shows the present state of the run of a document. */
export function showIngest(screen: Screen, document: UploadedDocument, run: RunTrack): void {
  const { paint } = screen;
  const { stage, done, total, chunks } = run.progress;
  const name = document.name.padEnd(nameWidth);
  if (!run.ended) {
    const part = typeof done === 'number' && typeof total === 'number' ? `${done}/${total} chunks` : '';
    const filled = bar(Number(done ?? 0), Number(total ?? 1), barWidth);
    const stageText = typeof stage === 'string' ? stage : run.state;
    return screen.row(run.id, `  ${name} ${paint.accent(filled)} ${stageText} ${part}`);
  }
  screen.row(run.id, null);
  if (run.state === 'succeeded') {
    screen.line(`  ${paint.good('✓')} ${name} ${Number(chunks ?? 0)} chunks indexed, ${run.finished.size} steps`);
  } else screen.line(`  ${paint.bad('✗')} ${name} ${run.state}`);
}
