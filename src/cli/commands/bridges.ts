/** `eventspine bridges list | seek`: bridges to buses outside, and where they go on. */
import { SpineError } from '../../core/errors.js';
import type { BridgeView } from '../../client/index.js';
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { span } from '../words.js';

/** Bridges of the server, and how they stand. */
export const listBridges: CommandRun = async (invocation) => {
  printList(invocation, await clientFor(invocation).bridges.list(), {
    header: ['BRIDGE', 'FROM', 'TO', 'STATE', 'MOVED', 'REPEATS', 'DEAD', 'BEHIND', 'ERROR'],
    row: (bridge) => [
      bridge.name,
      bridge.direction === 'in' ? `${bridge.bus}:${bridge.outside}` : bridge.topic,
      bridge.direction === 'in' ? bridge.topic : `${bridge.bus}:${bridge.outside}`,
      bridge.state,
      String(bridge.moved),
      String(bridge.duplicates),
      String(bridge.dead),
      lagText(bridge),
      bridge.error ?? '',
    ],
    empty: 'No bridges. A server is given them by --bridges (docs/guides/bridges.md).',
  });
  return exitCodes.ok.code;
};

/** Lets a bridge go on at another offset. */
export const seekBridge: CommandRun = async (invocation) => {
  const { words, flags } = invocation;
  const offset = flags.text('offset');
  if (offset === undefined || !/^\d+$/.test(offset))
    throw new SpineError('COMMAND_INVALID', { reason: 'Give the offset of the next message: --offset 1200.' });
  const partition = flags.number('partition') ?? 0;
  const bridge = await clientFor(invocation).bridges.seek(words.one('bridge'), { partition, offset });
  printValue(invocation, bridge, () => [`${bridge.name} goes on at offset ${offset} of partition ${partition}.`]);
  return exitCodes.ok.code;
};

function lagText({ lag }: BridgeView): string {
  const count = lag.reduce((sum, one) => sum + one.count, 0);
  const ageMs = Math.max(0, ...lag.map((one) => one.ageMs ?? 0));
  return count === 0 ? '0' : `${count}${ageMs === 0 ? '' : `, ${span(ageMs)}`}`;
}
