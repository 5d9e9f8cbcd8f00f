/** `eventspine strangle`: routes between their old handlers and the workflows that take their places. */
import { SpineError } from '../../core/errors.js';
import { type FleetReport, orderStrangled, readReports, type StrangleOrder } from '../../strangle/index.js';
import type { CommandRun, Flags } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { instantFlag } from '../moment.js';
import { printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs, renderTable } from '../table.js';
import { span } from '../words.js';

/** What routes have done, over all processes. */
export const reportStrangled: CommandRun = async (invocation) => {
  const { flags, words, io } = invocation;
  const name = words.maybe('name');
  const since = instantFlag(flags, 'since', Date.now());
  const reports = await readReports(clientFor(invocation), {
    signal: io.signal,
    ...(name === undefined ? {} : { name }),
    ...(since === undefined ? {} : { since }),
  });
  printValue(invocation, { items: reports }, () =>
    reports.length === 0
      ? ['No strangled route has told of anything; see `topics` of strangle().']
      : reports.flatMap((report, i) => [...(i === 0 ? [] : ['']), ...reportText(report)]),
  );
  return exitCodes.ok.code;
};

function reportText({
  name,
  processes,
  order,
  requests,
  old,
  event,
  fallback,
  mirror,
  durations,
  differences,
}: FleetReport): string[] {
  const compared = mirror.same + mirror.different;
  return [
    ...renderPairs([
      ['route', name],
      ['processes', String(processes)],
      ['order', orderText(order)],
      ['requests', `${requests}: ${old} by the old handler, ${event.total} by runs (${part(event.total, requests)})`],
      [
        'runs',
        `${event.answered} answered in time, ${event.accepted} with 202, ${event.failed} failed, ${event.repeated} repeated`,
      ],
      [
        'not taken',
        `${fallback.fellBack} fell back, ${fallback.refused} refused, ${fallback.paused} not tried, ${fallback.unreadable} unreadable, ${fallback.faults} faults`,
      ],
      [
        'mirrored',
        `${mirror.total}: ${mirror.same} the same, ${mirror.different} different (${part(mirror.different, compared)}), ${mirror.failed} failed, ${mirror.withheld} ended before an effect, ${mirror.late} late, ${mirror.skipped} left out, ${mirror.incomparable} not comparable`,
      ],
    ]),
    '',
    ...renderTable(
      ['TIME OF', 'COUNT', 'P50', 'P95', 'P99', 'MAX'],
      [
        ['old answers', durations.old] as const,
        ['mirrored runs', durations.mirror] as const,
        ['event answers', durations.event] as const,
        ['runs waited for', durations.run] as const,
      ].map(([what, { count, p50Ms, p95Ms, p99Ms, maxMs }]) => [
        what,
        String(count),
        ...[p50Ms, p95Ms, p99Ms, maxMs].map((ms) => (count === 0 ? '-' : span(ms))),
      ]),
    ),
    ...(differences.length === 0
      ? []
      : [
          '',
          ...renderTable(
            ['DIFFERENCE', 'KIND', 'COUNT', 'RUN'],
            differences.map(({ path, kind, count, run }) => [path, kind, String(count), run]),
          ),
        ]),
  ];
}

function part(of: number, all: number): string {
  return all === 0 ? '-' : `${((100 * of) / all).toFixed(1)} %`;
}

function orderText({ async, mirror, reason }: FleetReport['order']): string {
  const told =
    async === 0 && mirror === 0
      ? 'only the old handler'
      : async === 1 && mirror === 1
        ? 'as declared'
        : `async ${async}, mirror ${mirror} of what is declared`;
  return reason === undefined ? told : `${told} (${reason})`;
}

/** Tells all processes what to do from now on. */
export const turnStrangled: CommandRun = async (invocation) => {
  const { flags, words, io } = invocation;
  const reason = flags.text('reason');
  const ordered = await orderStrangled(clientFor(invocation), words.one('name'), orderOf(words.maybe('order'), flags), {
    signal: io.signal,
    ...(reason === undefined ? {} : { reason }),
  });
  printValue(invocation, ordered, () => [`${ordered.name}: ${orderText(ordered)}.`]);
  return exitCodes.ok.code;
};

function orderOf(word: string | undefined, flags: Flags): StrangleOrder {
  const shares = { async: shareFlag(flags, 'async'), mirror: shareFlag(flags, 'mirror') };
  const isShares = shares.async !== undefined || shares.mirror !== undefined;
  if (word === undefined && isShares)
    return {
      ...(shares.async === undefined ? {} : { async: shares.async }),
      ...(shares.mirror === undefined ? {} : { mirror: shares.mirror }),
    };
  if (isShares || (word !== 'old' && word !== 'declared'))
    throw new SpineError('COMMAND_INVALID', {
      reason: 'Say old, declared, or --async and --mirror with a share each.',
    });
  return word;
}

function shareFlag(flags: Flags, name: string): number | undefined {
  const text = flags.text(name);
  if (text === undefined) return undefined;
  const share = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text);
  if (text.trim() !== '' && share >= 0 && share <= 1) return share;
  throw new SpineError('COMMAND_INVALID', {
    reason: `--${name} ${text} is neither a share like 0.25 nor one like 25%.`,
  });
}
