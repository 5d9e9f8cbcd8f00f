/** `eventspine access`: who was refused what, and what operators and admins have done. */
import type { AccessEventView } from '../../protocol/http.js';
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printList } from '../report.js';
import { clientFor } from '../server-client.js';

const countDefault = 50;

/** The newest records, oldest of them first. */
export const showAccessLog: CommandRun = async (invocation) => {
  const { flags } = invocation;
  const wanted = flags.number('limit') ?? countDefault;
  const records: AccessEventView[] = [];
  const list = clientFor(invocation).access.log({ of: flags.truth('unknown') ? 'nobody' : 'tenant', limit: wanted });
  for await (const record of list) {
    records.push(record);
    if (records.length >= wanted) break;
  }
  printList(invocation, records.reverse(), {
    header: ['AT', 'OUTCOME', 'WHO', 'ROUTE', 'TARGET', 'CODE', 'TIMES', 'REASON'],
    row: ({ at, outcome, actor, route, target, code, count, reason }) => [
      at,
      outcome,
      actor ?? 'nobody known',
      route,
      target,
      code ?? '',
      String(count),
      reason ?? '',
    ],
    empty: 'Nothing was refused, and nothing was done that is recorded (docs/concepts/access.md).',
  });
  return exitCodes.ok.code;
};
