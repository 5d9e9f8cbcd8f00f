/** `eventspine queues | workers | topics`: what is there, at a glance. */
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printList } from '../report.js';
import { clientFor } from '../server-client.js';
import { ago, span } from '../words.js';

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
