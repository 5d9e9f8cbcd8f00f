/** `eventspine doctor`: checks the invariants of a live system, or of a file that nobody has open. */
import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SpineError } from '../../core/errors.js';
import { createEngine } from '../../engine/index.js';
import type { DoctorView } from '../../protocol/http.js';
import { nodePorts } from '../../runtime/index.js';
import { sqlite } from '../../stores/sqlite/index.js';
import type { CommandRun, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderTable } from '../table.js';

/** Violations shown for each property; `--json` has all of them. */
const shownMax = 10;

/** Prints every check; fails when one does not hold. */
export const doctor: CommandRun = async (invocation) => {
  const view = await diagnosis(invocation);
  printValue(invocation, view, () => diagnosisText(view));
  return view.checks.every((check) => check.ok) ? exitCodes.ok.code : exitCodes.failed.code;
};

async function diagnosis(invocation: Invocation): Promise<DoctorView> {
  const given = invocation.flags.text('store');
  if (given === undefined) return await clientFor(invocation).doctor();
  const file = resolve(invocation.io.folder, given);
  // Opening would make a new store of a name that was only misspelt.
  await access(file).catch((error: unknown) => {
    throw new SpineError('COMMAND_INVALID', { reason: `There is no file ${given}.` }, { cause: error });
  });
  const store = await sqlite({ file }).open();
  try {
    // The engine is not started: a diagnosis looks and changes nothing.
    return await createEngine({ store, ports: nodePorts }).doctor();
  } finally {
    await store.close();
  }
}

function diagnosisText(view: DoctorView): string[] {
  const rows = view.checks.map((check) => [
    check.ok ? 'ok' : 'BROKEN',
    check.property,
    check.checked === null ? 'all' : `${check.checked} runs`,
    check.says,
  ]);
  const violations = view.checks.flatMap((check) =>
    check.violations
      .slice(0, shownMax)
      .map(({ tenant, subject, detail }) => `${check.property}  ${tenant}  ${subject}  ${detail}`),
  );
  return [
    ...renderTable(['', 'PROPERTY', 'CHECKED', 'SAYS'], rows),
    ...(violations.length === 0 ? [] : ['', ...violations]),
  ];
}
