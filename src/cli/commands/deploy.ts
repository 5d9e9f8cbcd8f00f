/** `eventspine deploy`: registers the definitions of a build, after showing what that changes. */
import { hasCode } from '../../core/errors.js';
import { versionText } from '../../core/manifest.js';
import type { DefinitionChange, DeployAnswer, StrandedWork } from '../../protocol/http.js';
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { findApp, importApp } from '../load-app.js';
import { printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderTable } from '../table.js';

/** Shows what changes; fails without changing anything where unfinished work would lose its code. */
export const deploy: CommandRun = async (invocation) => {
  const { words, flags, io } = invocation;
  const { manifest } = await importApp(await findApp(words.one('app'), io.folder));
  const client = clientFor(invocation);
  const leaveWaiting = flags.truth('leave-waiting');
  const plan = await client.deploy(manifest, { dryRun: true });
  const isRefused = plan.stranded.length > 0 && !leaveWaiting;
  if (flags.truth('dry-run')) {
    printValue(invocation, plan, () => deploymentText(plan, leaveWaiting));
    return isRefused ? exitCodes.failed.code : exitCodes.ok.code;
  }
  try {
    const answer = await client.deploy(manifest, { leaveWaiting });
    printValue(invocation, answer, () => deploymentText(answer, leaveWaiting));
    return exitCodes.ok.code;
  } catch (error) {
    // The refusal says what is stranded; what else would have changed is worth knowing too.
    if (hasCode(error, 'DEPLOY_REFUSED') && !flags.truth('json'))
      for (const line of deploymentText(plan, leaveWaiting)) io.out(line);
    throw error;
  }
};

const outcomes = {
  registered: 'is the newest now; it is in force as soon as a worker has it',
  unchanged: 'is the newest already; nothing to do',
  planned: 'would be the newest',
} as const;

function deploymentText({ app, hash, outcome, changes, stranded }: DeployAnswer, leaveWaiting: boolean): string[] {
  return [
    `Build ${hash.slice(0, 12)} of app ${app} ${outcomes[outcome]}.`,
    ...(changes.length === 0 ? ['No definition differs from the newest build.'] : changeTable(changes)),
    ...stranded.map((work) => `${leaveWaiting ? 'WAITS' : 'STRANDED'}  ${strandedText(work)}`),
  ];
}

function changeTable(changes: readonly DefinitionChange[]): string[] {
  const rows = changes.map(({ kind, name, change, details }) => [change.toUpperCase(), kind, name, details.join('; ')]);
  return renderTable(['CHANGE', 'KIND', 'NAME', 'DETAILS'], rows);
}

function strandedText({ kind, name, version, count, example }: StrandedWork): string {
  if (kind === 'call') return `${count} calls of capability ${name}, which nothing would implement`;
  return `${count} unfinished runs of ${name} ${versionText(version)}${example === null ? '' : ` (${example}, ...)`}`;
}
