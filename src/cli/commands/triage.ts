/** `eventspine triage`: what failures are classified by, and how another model is tried beside it. */
import { readFile } from 'node:fs/promises';
import type { TriageOrder } from '../../client/client.js';
import type { ModelData } from '../../core/triage/model.js';
import { SpineError } from '../../core/errors.js';
import type { TriageView } from '../../protocol/http.js';
import type { CommandRun, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs, renderTable } from '../table.js';

/** A model is asked beside the one in force, or none is. */
export const setTriageShadow: CommandRun = async (invocation) => {
  const { words, flags } = invocation;
  const file = words.maybe('file');
  if (flags.truth('off') === (file !== undefined))
    throw new SpineError('REQUEST_INVALID', { faults: ['name the file of a model, or say --off'] });
  return change(invocation, { change: 'shadow', model: file === undefined ? null : await modelIn(file) });
};

/** The model in the shadow is in force from now on. */
export const promoteTriage: CommandRun = (invocation) => change(invocation, { change: 'promote' });

/** Takes the last promotion back. */
export const rollBackTriage: CommandRun = (invocation) => change(invocation, { change: 'rollback' });

/** What both say. */
export const reportTriage: CommandRun = async (invocation) => {
  printTriage(invocation, await clientFor(invocation).triage.report());
  return exitCodes.ok.code;
};

async function change(invocation: Invocation, order: TriageOrder): ReturnType<CommandRun> {
  printTriage(invocation, await clientFor(invocation).triage.change(order));
  return exitCodes.ok.code;
}

/** What is in the file is checked by the server. */
async function modelIn(file: string): Promise<ModelData> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as ModelData;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new SpineError('REQUEST_INVALID', { faults: [`${file} is no model of triage: ${why}`] });
  }
}

function printTriage(invocation: Invocation, triage: TriageView): void {
  printValue(invocation, triage, () => triageLines(triage));
}

function triageLines({ inForce, shadow, set, steps, verdicts, corrections }: TriageView): string[] {
  const { count, inForceRight, shadowRight, differences } = corrections;
  return [
    ...renderPairs([
      ['in force', inForce],
      ['in the shadow', shadow ?? 'none'],
      ['changed', set === null ? 'never' : `by ${set.by} at ${set.at}`],
      ['can be taken back', `${steps} promotions`],
      ['corrections', String(count)],
      ['  right in force', String(inForceRight)],
      ...(shadowRight === null ? [] : [['  right in the shadow', String(shadowRight)] as const]),
    ]),
    ...(differences.length === 0
      ? []
      : [
          '',
          ...renderTable(
            ['CORRECTED TO', 'IN FORCE', 'SHADOW', 'COUNT'],
            differences.map(({ label, class: kind, shadow: other, count: times }) => [
              label,
              kind,
              other,
              String(times),
            ]),
          ),
        ]),
    ...(verdicts === null
      ? []
      : [
          '',
          `${verdicts.failures} failures with both verdicts, ${verdicts.same} of them the same`,
          ...(verdicts.pairs.length === 0
            ? []
            : renderTable(
                ['IN FORCE', 'SHADOW', 'COUNT', 'OTHER CLASS'],
                verdicts.pairs.map(({ class: kind, shadow: other, count: times, changes }) => [
                  kind,
                  other,
                  String(times),
                  String(changes),
                ]),
              )),
        ]),
  ];
}
