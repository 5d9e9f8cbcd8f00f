/** The end of the demo: what happened, in figures that were measured, and where to look. */
import { relative } from 'node:path';
import type { DeadLetterView, RunView } from './api-types.ts';
import { fiveAnswers } from './five-answers.ts';
import type { Proof } from './proof.ts';
import { type Screen, wrap } from './screen.ts';

const labelWidth = 26;
const textWidth = 88;

/** Prints the five answers about a run. */
export function printFiveAnswers(
  screen: Screen,
  title: string,
  view: RunView,
  deadLetter: DeadLetterView | null,
): void {
  const { paint } = screen;
  const answers = fiveAnswers(view, deadLetter);
  screen.line(`  ${paint.strong(title)} ${paint.faint(view.id)}`);
  const rows: [string, string][] = [
    ['What state is it in?', answers.state],
    ['What has succeeded?', answers.succeeded],
    ['What can be retried?', answers.retry],
    ['What needs a person?', answers.person],
    ['What does the user see?', answers.show],
  ];
  for (const [question, text] of rows) {
    const indent = ' '.repeat(labelWidth + 4);
    screen.line(`    ${paint.accent(question.padEnd(labelWidth))}${wrap(text, textWidth, indent)}`);
  }
}

/** Prints what the two records say of each other. */
export function printProof(screen: Screen, proof: Proof): void {
  const { paint } = screen;
  const verdict = proof.repeatedAfterRecord.length === 0 ? paint.good('none') : paint.bad('SOME');
  screen.line(`  ${proof.recordedBefore} model calls were on record when the worker was killed.`);
  screen.line(`  Made again of those: ${verdict} (${proof.repeatedAfterRecord.length}).`);
  const pairs = `${proof.received} received, ${proof.different} different ones`;
  screen.line(`  Counter at the model endpoint, outside of workers and engine: ${pairs}.`);
  if (proof.inFlight.length === 0) return;
  const which =
    proof.inFlight.length === 1
      ? '1 that came more than once was'
      : `${proof.inFlight.length} that came more than once were`;
  screen.line(`  The ${which} cut off before there was a result to record, by the kill or a failure:`);
  for (const key of proof.inFlight.slice(0, 4)) screen.line(paint.faint(`    ${key}`));
}

/** Figures of the whole demo. */
export interface Figures {
  readonly documents: number;
  readonly indexed: number;
  readonly questions: number;
  readonly answered: number;
  readonly steps: number;
  readonly modelCalls: number;
  readonly latency: { readonly p50: number; readonly p99: number; readonly count: number };
  readonly seconds: number;
  readonly model: string;
}

/** Prints the figures. */
export function printFigures(screen: Screen, figures: Figures): void {
  const { latency } = figures;
  const rows: [string, string][] = [
    ['Documents', `${figures.indexed} of ${figures.documents} indexed`],
    ['Questions', `${figures.answered} of ${figures.questions} answered by ${figures.model}`],
    ['Steps recorded', String(figures.steps)],
    ['Model calls received', `${figures.modelCalls} (chat and embeddings, counted at the endpoint)`],
    [
      'Accepted durably in',
      `p50 ${latency.p50.toFixed(1)} ms, p99 ${latency.p99.toFixed(1)} ms (${latency.count} events, HTTP round trip with fsync)`,
    ],
    ['Whole demo', `${figures.seconds.toFixed(1)} s`],
  ];
  for (const [label, text] of rows) screen.line(`    ${screen.paint.accent(label.padEnd(labelWidth))}${text}`);
}

/** Prints where everything can be looked at: over HTTP while the server runs, in the file afterwards. */
export function printWhereToLook(
  screen: Screen,
  place: { readonly url: string; readonly run: string; readonly database: string; readonly logs: string },
  serves: boolean,
): void {
  const rows = serves
    ? [
        ['One run', `${place.url}/v1/runs/${place.run}`],
        ['Its history', `${place.url}/v1/runs/${place.run}/history`],
        ['Dead letters', `${place.url}/v1/dead-letters`],
        ['Answers as events', `${place.url}/v1/topics/ai.analysis.completed/events`],
        ['API', `${place.url}/openapi.json`],
        ['Command line', `npx eventspine runs list --url ${place.url}`],
      ]
    : [
        ['Check the store', `npx eventspine doctor --store ${shortPath(place.database)}`],
        ['Look around', 'npm run demo -- --serve keeps the server running and prints its addresses'],
      ];
  rows.push(['Database', shortPath(place.database)], ['Logs', shortPath(place.logs)]);
  for (const [label = '', text = ''] of rows)
    screen.line(`    ${screen.paint.accent(label.padEnd(labelWidth))}${text}`);
}

function shortPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}
