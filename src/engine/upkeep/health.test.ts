import { describe, expect, it } from 'vitest';
import type { QueueStats } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import { Health } from './health.js';

const waiting: QueueStats = {
  queue: 'workflow:answer',
  ready: 3,
  delayed: 0,
  held: 0,
  leased: 0,
  oldestReadyAt: 0,
};

/** Health a minute after the start, over a store that answers, refuses or has failed, and no workers. */
function health(
  queueStats: () => Promise<QueueStats[]>,
  failed: Promise<Error> = new Promise(() => undefined),
): Health {
  let nowMs = 0;
  const context = {
    store: { queueStats, failed, now: () => nowMs },
    settings: { stuckAfterMs: 30_000 },
    ports: { clock: { now: () => nowMs, monotonicMs: () => nowMs } },
  } as unknown as EngineContext;
  const dispatcher = { sessions: () => [], lastClaimMs: () => undefined } as unknown as Dispatcher;
  const made = new Health(context, dispatcher);
  nowMs = 60_000;
  return made;
}

describe('health', () => {
  it('accepts work that nobody does, and says that nobody does it', async () => {
    const found = await health(() => Promise.resolve([waiting])).faults();
    expect(found).toEqual({ accepts: true, reasons: [expect.stringMatching(/workflow:answer.*no worker serves it/)] });
  });

  it('has nothing to say while all is well', async () => {
    expect(await health(() => Promise.resolve([])).faults()).toEqual({ accepts: true, reasons: [] });
  });

  it('accepts nothing while the store does not answer', async () => {
    const found = await health(() => Promise.reject(new Error('connection refused'))).faults();
    expect(found).toMatchObject({ accepts: false, reasons: [expect.stringContaining('connection refused')] });
  });

  it('accepts nothing once the store has failed', async () => {
    const failing = health(() => Promise.resolve([]), Promise.resolve(new Error('I/O error')));
    await Promise.resolve();
    expect(await failing.faults()).toMatchObject({ accepts: false, reasons: [expect.stringContaining('I/O error')] });
  });
});
