import { expect, it } from 'vitest';
import type { ServerMessage } from '../../protocol/worker.js';
import { nodePorts } from '../../runtime/index.js';
import { Session } from './session.js';

const description = {
  session: 'ses_1',
  worker: 'wrk_1',
  app: 'app',
  manifest: 'm',
  slots: 1,
  queues: [],
  host: null,
  pid: null,
  inProcess: false,
};

function sessionOnLine(mayTell: () => boolean) {
  const sent: ServerMessage[] = [];
  const closed: string[] = [];
  const session = new Session(description, 0, nodePorts, mayTell);
  session.channel = {
    send: (message) => void sent.push(message),
    close: (reason) => void closed.push(reason ?? ''),
    bufferedBytes: () => 0,
  };
  return { session, sent, closed };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => nodePorts.timers.turn(resolve));

it('tells what was collected in one turn', async () => {
  const { session, sent, closed } = sessionOnLine(() => true);
  session.abort(1, 'lease_lost');
  session.abort(2, 'lease_lost');
  await nextTurn();
  expect(sent).toHaveLength(1);
  expect(closed).toEqual([]);
});

it('closes the line and tells nothing when its server stood still: others may have done meanwhile what it would tell', async () => {
  let isAwake = true;
  const { session, sent, closed } = sessionOnLine(() => isAwake);
  session.abort(1, 'lease_lost');
  isAwake = false;
  await nextTurn();
  expect(sent).toEqual([]);
  expect(closed).toHaveLength(1);
  // What was kept back is not told over the next line either.
  isAwake = true;
  session.abort(2, 'lease_lost');
  await nextTurn();
  expect(sent).toEqual([]);
});
