/**
 * Shows a question on its way to an answer. On a terminal the text grows in one row and is printed whole at the end;
 * elsewhere each sentence is a line as soon as it is there.
 */
import type { Answer } from './api-types.ts';
import type { RunTrack } from './run-track.ts';
import { type Screen, wrap } from './screen.ts';

/** A question as it is shown. */
export interface ShownQuestion {
  readonly number: number;
  readonly text: string;
}

const textWidth = 92;

/** Shows what is new between two states of the run of a question. */
export function showAnswer(screen: Screen, question: ShownQuestion, now: RunTrack, before: RunTrack): void {
  if (now.ended) screen.row(now.id, null);
  else screen.row(now.id, rowOf(screen, question, now));
  if (screen.isTerminal) return;
  const stage = textOf(now.progress['stage']);
  if (stage !== textOf(before.progress['stage']) && stage !== 'done') {
    screen.line(`  Q${question.number} │ ${stage}${toolsOf(now)}`);
  }
  const text = textOf(now.progress['text']);
  const shown = textOf(before.progress['text']);
  if (text === shown || text === '') return;
  const fresh = text.startsWith(shown) ? text.slice(shown.length) : text;
  screen.line(`  Q${question.number} │ ${screen.paint.faint('»')} ${fresh.trim()}`);
}

/** Prints the finished answer with what it rests on. */
export function printAnswer(
  screen: Screen,
  question: ShownQuestion,
  run: RunTrack,
  output: Answer | null,
  seconds: number,
): void {
  const { paint } = screen;
  screen.line(`  ${paint.strong(`Q${question.number}  ${question.text}`)}`);
  if (output === null) return screen.line(`      ${paint.bad(run.state)}`);
  screen.line(`      ${wrap(output.answer, textWidth, '      ')}`);
  for (const { number, source } of output.citations) screen.line(paint.faint(`      [${number}] ${source}`));
  const took = `${seconds.toFixed(1)} s after it was accepted`;
  screen.line(
    paint.faint(
      `      ${run.finished.size} steps, ${output.toolCalls} tool call${output.toolCalls === 1 ? '' : 's'}; ${took}`,
    ),
  );
  screen.line();
}

function rowOf({ paint }: Screen, question: ShownQuestion, run: RunTrack): string {
  const text = textOf(run.progress['text']);
  const stage = textOf(run.progress['stage']) || run.state;
  const tail = text.length > 60 ? `…${text.slice(-60)}` : text;
  return `  ${paint.strong(`Q${question.number}`)} ${paint.accent(stage.padEnd(10))}${toolsOf(run)} ${tail}`;
}

function toolsOf(run: RunTrack): string {
  const { stage, tools } = run.progress;
  return stage === 'tools' && Array.isArray(tools) ? `: ${tools.join(', ')}` : '';
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
