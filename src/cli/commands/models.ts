/** `eventspine models`: what is behind the names of models, how it does, and how it is changed while it runs. */
import type { ModelOrder } from '../../client/client.js';
import type { ModelArmView, ModelReportView, ModelShadowView, ModelView } from '../../protocol/http.js';
import { SpineError } from '../../core/errors.js';
import {
  shadowDefaults,
  type ShadowDifference,
  type ShadowEvidence,
  type ShadowRatio,
} from '../../core/models/shadow.js';
import type { CommandRun, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs, renderTable } from '../table.js';

/** Models, with their versions. */
export const listModels: CommandRun = async (invocation) => {
  const models = await clientFor(invocation).models.list();
  printList(invocation, models, {
    header: ['MODEL', 'VERSIONS', 'BREAKERS', 'SET'],
    row: ({ name, versions, set }) => [
      name,
      versions.map(({ version, weight }) => `${version}=${weight}`).join(' '),
      versions
        .flatMap(({ version, breaker }) => (breaker.state === 'closed' ? [] : [`${version} ${breaker.state}`]))
        .join(', '),
      set === null ? '' : `by ${set.by}`,
    ],
    empty: 'No app has models. docs/guides/models.md says how an app gets one.',
  });
  return exitCodes.ok.code;
};

/** A model with its versions. */
export const showModel: CommandRun = async (invocation) => {
  printModel(invocation, await clientFor(invocation).models.get(invocation.words.one('model')));
  return exitCodes.ok.code;
};

/** Shares new runs between versions. */
export const setWeights: CommandRun = (invocation) => {
  const weights = Object.fromEntries(invocation.words.all('weight').map(weightOf));
  return change(invocation, { change: 'weights', weights });
};

/** All new runs ask one version. */
export const promoteVersion: CommandRun = (invocation) =>
  change(invocation, { change: 'promote', version: invocation.words.one('version') });

/** A version is asked beside the others, or none is. */
export const setShadow: CommandRun = (invocation) => {
  const { words, flags } = invocation;
  const version = words.maybe('version');
  if (flags.truth('off') === (version !== undefined))
    throw new SpineError('REQUEST_INVALID', { faults: ['name the version that is to be a shadow, or say --off'] });
  if (version === undefined) return change(invocation, { change: 'shadow', shadow: null });
  const perDay = flags.number('per-day');
  const shadow = {
    version,
    share: flags.number('share') ?? shadowDefaults.share,
    concurrency: flags.number('concurrency') ?? shadowDefaults.concurrency,
    perDayMicros: perDay === undefined ? shadowDefaults.perDayMicros : Math.round(perDay * microsPerUnit),
  };
  return change(invocation, { change: 'shadow', shadow });
};

/** Takes the last change back. */
export const rollBack: CommandRun = (invocation) => change(invocation, { change: 'rollback' });

/** What the app declares is in force again. */
export const resetModel: CommandRun = (invocation) => change(invocation, { change: 'reset' });

/** Lets the endpoint of a version be called again. */
export const closeBreaker: CommandRun = (invocation) =>
  change(invocation, { change: 'reset-breaker', version: invocation.words.one('version') });

/** How the versions do. */
export const reportModel: CommandRun = async (invocation) => {
  const { words, flags } = invocation;
  const [against, alpha] = [flags.text('against'), flags.number('alpha')];
  const report = await clientFor(invocation).models.report(words.one('model'), {
    ...(against === undefined ? {} : { against }),
    ...(alpha === undefined ? {} : { alpha }),
  });
  printValue(invocation, report, () => reportLines(report));
  return exitCodes.ok.code;
};

function weightOf(word: string): readonly [string, number] {
  const at = word.lastIndexOf('=');
  const weight = Number(word.slice(at + 1));
  if (at < 1 || word.length === at + 1 || !Number.isInteger(weight))
    throw new SpineError('REQUEST_INVALID', { faults: [`"${word}" is no weight; write VERSION=NUMBER`] });
  return [word.slice(0, at), weight];
}

async function change(invocation: Invocation, order: ModelOrder): ReturnType<CommandRun> {
  printModel(invocation, await clientFor(invocation).models.change(invocation.words.one('model'), order));
  return exitCodes.ok.code;
}

function printModel(invocation: Invocation, model: ModelView): void {
  printValue(invocation, model, () => [
    ...renderPairs([
      ['model', model.name],
      ['ambiguous calls', model.policy.join(', ')],
      ['weights', model.set === null ? 'as the app declares' : `set by ${model.set.by} at ${model.set.at}`],
      ['can be taken back', `${model.steps} changes`],
    ]),
    '',
    ...renderTable(
      ['VERSION', 'WEIGHT', 'DECLARED', 'ENDPOINT', 'BREAKER', 'PAUSED'],
      model.versions.map(({ version, weight, declaredWeight, endpoint, breaker, pausedUntil }) => [
        version,
        String(weight),
        String(declaredWeight),
        endpoint,
        breaker.probeAt === null ? breaker.state : `${breaker.state} until ${breaker.probeAt}`,
        pausedUntil === null ? '-' : `until ${pausedUntil}`,
      ]),
    ),
    ...(model.shadow === null ? [] : ['', ...shadowLines(model.shadow)]),
  ]);
}

const microsPerUnit = 1_000_000;

function money(micros: number): string {
  return String(Number((micros / microsPerUnit).toFixed(6)));
}

/** The shadow in force, and what is known of it and of those before it. */
function shadowLines({ rule, isSet, underWay, spentTodayMicros, evidence }: ModelShadowView): string[] {
  const inForce =
    rule === null
      ? ['no version is asked beside the others now']
      : [
          `shadow ${rule.version}${isSet ? '' : ' (as the app declares)'}, asked beside ${rule.share * 100} % of the inferences`,
          `  ${underWay} of ${rule.concurrency} calls under way; spent today ${money(spentTodayMicros)}` +
            (rule.perDayMicros === null ? '' : ` of ${money(rule.perDayMicros)}`),
        ];
  return [...inForce, ...evidence.flatMap(evidenceLines)];
}

function evidenceLines(one: ShadowEvidence): string[] {
  const { version, against, answers, failures, spentMicros } = one;
  const failed = Object.entries(failures).map(([kind, count]) => `${kind} ${count}`);
  const ratio = (of: string, found: ShadowRatio | null): string[] =>
    found === null
      ? []
      : [
          `  ${of}: ${rounded(found.mean)} (${rounded(found.interval.low)} to ${rounded(found.interval.high)}) of ${found.n}`,
        ];
  const pair = (of: string, found: ShadowDifference | null, shown: (value: number) => string): string[] => {
    if (found === null) return [];
    const { shadow, primary, interval } = found;
    const range =
      interval === null ? 'too little is known' : `difference ${shown(interval.low)} to ${shown(interval.high)}`;
    return [`  ${of}: ${shown(shadow)}, beside ${shown(primary)} (${range})`];
  };
  return [
    `${version} beside ${against}: ${answers} answers, failed: ${failed.length === 0 ? 'none' : failed.join(', ')}; spent ${money(spentMicros)}`,
    ...ratio('same answer', one.exact),
    ...ratio('same JSON', one.json),
    ...ratio('likeness of texts', one.similarity),
    ...ratio('same calls of tools', one.tools),
    ...pair('latency ms', one.latencyMs, rounded),
    ...pair('cost', one.costMicros, money),
  ];
}

function reportLines({ model, against, alpha, arms, shadow }: ModelReportView): string[] {
  const shown = (value: number | null, digits: number, scale = 1): string =>
    value === null ? '' : (value / scale).toFixed(digits);
  return [
    ...renderTable(
      ['VERSION', 'INFERENCES', 'FAILED', 'LATENCY MS', 'COST', 'SCORES', 'SCORE'],
      arms.map(({ version, inferences, failures, latencyMs, costMicros, scores, score }) => [
        version,
        String(inferences),
        String(failures),
        shown(latencyMs, 0),
        shown(costMicros, 6, microsPerUnit),
        String(scores),
        shown(score, 3),
      ]),
    ),
    '',
    ...arms.flatMap((arm) => comparisonLines(arm, against)),
    ...(shadow === null ? [] : [...shadowLines(shadow), '']),
    `Of ${model}; a difference is shown where there is none at most ${alpha * 100} times in 100, however often one looks.`,
  ];
}

function comparisonLines({ version, comparisons }: ModelArmView, against: string): string[] {
  return comparisons.map(({ of, difference, interval, isShown }) => {
    const range = interval === null ? 'too little is known' : `${rounded(interval.low)} to ${rounded(interval.high)}`;
    return `${version} less ${against}, ${of}: ${rounded(difference)} (${range})${isShown ? ': a difference' : ''}`;
  });
}

function rounded(value: number): string {
  return String(Number(value.toPrecision(3)));
}
