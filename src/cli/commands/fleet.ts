/** `eventspine fleet | queues | workers | topics`: what is there, or was, at a glance. */
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import type { FleetView } from '../../protocol/http.js';
import { momentFlag } from '../moment.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs, renderTable } from '../table.js';
import { ago, span } from '../words.js';

/** The fleet at a moment. */
export const showFleet: CommandRun = async (invocation) => {
  const at = momentFlag(invocation.flags, Date.now());
  const tenant = invocation.flags.text('tenant');
  const view = await clientFor(invocation).fleet({
    ...(at === undefined ? {} : { at }),
    ...(tenant === undefined ? {} : { tenant }),
  });
  printValue(invocation, view, () => fleetText(view));
  return exitCodes.ok.code;
};

function fleetText(view: FleetView): string[] {
  const { position, at, gap, doubts, sample } = view;
  const sampled = new Map((sample?.queues ?? []).map((queue) => [queue.queue, queue]));
  const told: (readonly [string, string])[] = [
    ['position', String(position)],
    ['at', at ?? '-'],
    ...(gap === null
      ? []
      : [
          [
            'gap',
            `${gap.missing} events up to position ${gap.to} are deleted; this is how it was at ${position}`,
          ] as const,
        ]),
    ...(doubts === 0 ? [] : [['doubts', `${doubts}; what is unfinished may be less`] as const]),
    ...(sample === null ? [] : [['sample', `ready, leased and lag are of ${sample.at}`] as const]),
  ];
  const parts: (readonly [readonly string[], readonly (readonly string[])[]])[] = [
    [['WORKFLOW', 'STATUS', 'RUNS'], view.runs.map((run) => [run.workflow, run.status, String(run.count)])],
    [
      ['QUEUE', 'OPEN', 'HELD', 'READY', 'LEASED', 'LAG'],
      view.queues.map(({ queue, open, held }) => {
        const rows = sampled.get(queue);
        const shown =
          rows === undefined ? ['-', '-', '-'] : [String(rows.ready), String(rows.leased), span(rows.lagMs)];
        return [queue, String(open), String(held), ...shown];
      }),
    ],
    [['LIMIT', 'WAITING', 'GRANTED'], view.limits.map((one) => [one.limit, String(one.waiting), String(one.granted)])],
    [['MODEL', 'WAITING', 'GRANTED'], view.models.map((one) => [one.model, String(one.waiting), String(one.granted)])],
    [['WAITS FOR', 'OPEN'], view.waits.map(({ kind, open }) => [kind, String(open)])],
    [['AGENT', 'KEYS', 'UNREAD'], view.agents.map((one) => [one.agent, String(one.keys), String(one.unread)])],
    [['TOPIC', 'EVENTS'], view.topics.map(({ topic, events }) => [topic, String(events)])],
    [
      ['SUBSCRIPTION', 'TOPIC', 'LAG AT MOST'],
      view.lag.map(({ subscription, topic, eventsMax }) => [subscription, topic, String(eventsMax)]),
    ],
  ];
  const tables = parts
    .filter(([, rows]) => rows.length > 0)
    .map(([header, rows]) => ['', ...renderTable(header, rows)]);
  return [...renderPairs(told), ...tables.flat()];
}

/** Depth, lag and workers of every queue. */
export const listQueues: CommandRun = async (invocation) => {
  printList(invocation, await clientFor(invocation).queues(), {
    header: ['QUEUE', 'READY', 'DELAYED', 'HELD', 'LEASED', 'LAG', 'WORKERS', 'SLOTS'],
    row: (queue) => [
      queue.queue,
      String(queue.ready),
      String(queue.delayed),
      String(queue.held),
      String(queue.leased),
      span(queue.lagMs),
      String(queue.workers),
      String(queue.slots),
    ],
    empty: 'No queues yet: no worker has connected and no run was started.',
  });
  return exitCodes.ok.code;
};

/** Worker sessions and what they hold. */
export const listWorkers: CommandRun = async (invocation) => {
  const now = Date.now();
  printList(invocation, await clientFor(invocation).workers(), {
    header: ['WORKER', 'APP', 'BUILD', 'CONNECTED', 'SINCE', 'BUSY', 'PROCESS', 'QUEUES'],
    row: (worker) => [
      worker.worker,
      worker.app,
      worker.manifest?.slice(0, 12) ?? '?',
      worker.connected ? 'yes' : 'no',
      ago(worker.openedAt, now),
      `${worker.leased}/${worker.slots}`,
      `${worker.host ?? '?'}:${worker.pid ?? '?'}`,
      worker.queues.join(' '),
    ],
    empty: 'No workers are connected. Start one with `eventspine worker <app>`.',
  });
  return exitCodes.ok.code;
};

/** Topics that have events. */
export const listTopics: CommandRun = async (invocation) => {
  printList(invocation, await clientFor(invocation).topics.list(), {
    header: ['TOPIC', 'PARTITIONS', 'EVENTS'],
    row: ({ topic, partitions }) => [
      topic,
      String(partitions.length),
      String(partitions.reduce((sum, partition) => sum + partition.head, 0)),
    ],
    empty: 'No topic has events yet.',
  });
  return exitCodes.ok.code;
};
