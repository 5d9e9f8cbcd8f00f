/** `eventspine why`. */
import { remedyText } from '../../core/remedies.js';
import type { DecisionView, ToolVerdictView } from '../../protocol/http.js';
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { momentFlag } from '../moment.js';
import { clientFor } from '../server-client.js';
import { renderPairs } from '../table.js';
import { span } from '../words.js';

/** Prints each inference of a run on some lines of its own. */
export const whyRun: CommandRun = async (invocation) => {
  const { io, flags, words } = invocation;
  let isFirst = true;
  const at = momentFlag(flags, Date.now());
  const options = at === undefined ? {} : { at };
  for await (const decision of clientFor(invocation).runs.decisions(words.one('run'), options)) {
    if (flags.truth('json')) io.out(JSON.stringify(decision));
    else for (const line of [...(isFirst ? [] : ['']), ...decisionText(decision)]) io.out(line);
    isFirst = false;
  }
  if (isFirst && !flags.truth('json')) io.err('The run has asked no model.');
  return exitCodes.ok.code;
};

function decisionText(decision: DecisionView): string[] {
  const { path, status, model, arm, attempt, usage, confidence, failure, input, output } = decision;
  const { finish, latencyMs, firstPartMs, costMicros, hops, ambiguous, alternatives, rules, fingerprint } = decision;
  const { prompt, cached, by, comment } = decision;
  const state = `${path}: ${status}${finish === null ? '' : ` (${finish})`}`;
  const first = firstPartMs === null ? '' : `, first part after ${span(firstPartMs)}`;
  const pairs: (readonly [string, string])[] = [
    by === null ? ['inference', `${state}, attempt ${attempt}`] : ['decision', state],
    by === null ? ['model', modelText(decision)] : ['instead of', `model ${model}, by the ${arm ?? ''} ${by}`],
    ...(comment === null ? [] : [['comment', JSON.stringify(comment)] as const]),
    ...(prompt === null ? [] : [['prompt', `${prompt.name} ${prompt.version}`] as const]),
    ...(cached === null
      ? []
      : [
          ['cached', `since ${cached.at}, from event ${cached.event}; saved ${moneyText(cached.savedMicros)}`] as const,
        ]),
    ['asked', `event ${input.event}${sizeText(input.blob)}, fingerprint ${fingerprint.slice(0, fingerprintShown)}`],
    ...(output === null ? [] : [['answered', `event ${output.event}${sizeText(output.blob)}`] as const]),
    ...(failure === null ? [] : [['failed', `${failure.class} (${failure.code}): ${failure.message}`] as const]),
    ...(latencyMs === null ? [] : [['took', `${span(latencyMs)}${first}`] as const]),
    ...(usage === null
      ? []
      : [
          ['tokens', `${usage.inputTokens} in (${usage.cachedInputTokens} cached), ${usage.outputTokens} out`] as const,
        ]),
    ['cost', moneyText(costMicros)],
    ...(confidence === null ? [] : [['confidence', String(confidence)] as const]),
    ...alternatives.map(({ text, probability }) => ['instead of', `${JSON.stringify(text)} (${probability})`] as const),
    ...rules.map((rule) => ['rule', rule] as const),
    ...(decision.tools ?? []).map((one) => ['tool', verdictText(one)] as const),
    ...hops.map(
      (hop) =>
        [
          'before',
          `${hop.model === undefined ? '' : `${hop.model}, `}attempt ${hop.attempt} at ${hop.endpoint}: ${hop.class} (${hop.code})${hop.remedy === undefined ? '' : `, ${remedyText(hop.remedy)}`}`,
        ] as const,
    ),
    ...ambiguous.map((one) => ['ambiguous', `attempt ${one.attempt}: ${one.policy}`] as const),
  ];
  return renderPairs(pairs);
}

function modelText({ model, version, arm, endpoint, status }: DecisionView): string {
  if (version !== null) return `${model} ${version} (arm ${arm ?? ''}) at ${endpoint ?? ''}`;
  return status === 'held' ? `${model}, waits for leave` : model;
}

const fingerprintShown = 12;

function sizeText(blob: { readonly size: number } | null): string {
  return blob === null ? '' : ` (${blob.size} bytes)`;
}

function moneyText(micros: number): string {
  return (micros / 1_000_000).toFixed(6);
}

function verdictText({ tool, verdict, rule, why, taint }: ToolVerdictView): string {
  const by = rule === '' ? '' : ` by ${rule}`;
  const from = taint.length === 0 ? '' : ` (untrusted: ${taint.join(', ')})`;
  return `${tool} ${verdict === 'ask' ? 'waits for a person' : verdict}${by}${why === null ? '' : `: ${why}`}${from}`;
}
