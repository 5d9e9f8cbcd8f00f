/** `eventspine doctor`: checks the invariants of a live system, of a file that nobody has open, or of a database. */
import { createEngine } from '../../engine/index.js';
import type { DoctorView } from '../../protocol/http.js';
import { nodePorts } from '../../runtime/index.js';
import type { CommandRun, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { existingStore } from '../store-choice.js';
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
  const { factory } = await existingStore(given, invocation.io);
  const store = await factory.open();
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
