import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { limits } from '../limits.js';
import { pauseAfter, readWebhook, subscriptionsOf, type WebhookSpec } from './endpoint.js';

const url = 'https://example.com/hooks';

function read(given: Readonly<Record<string, unknown>>, name = 'shop'): { spec: WebhookSpec; faults: string[] } {
  const faults: string[] = [];
  return { spec: readWebhook(name, given, (fault) => faults.push(fault)), faults };
}

describe('the options of a webhook endpoint', () => {
  it('have defaults for all but where it is and what it is told of', () => {
    expect(read({ url, topics: ['orders'] })).toEqual({
      faults: [],
      spec: {
        name: 'shop',
        url,
        topics: ['orders'],
        events: [],
        filter: null,
        order: 'key',
        windowMax: 32,
        timeoutMs: 15_000,
        retry: { attempts: 100, minMs: 5_000, maxMs: 3_600_000 },
        asymmetric: false,
      },
    });
  });

  it.each([
    [{ url }, 'topics or events'],
    [{ url: '', topics: ['a'] }, 'url must be'],
    [{ url, topics: 'a' }, 'topics must be a list'],
    [{ url, topics: ['a', 'a'] }, 'twice'],
    [{ url, events: ['run.exploded'] }, 'run.exploded'],
    [{ url, topics: ['a'], order: 'fast' }, 'order must be'],
    [{ url, topics: ['a'], window: 0 }, 'window must be'],
    [{ url, topics: ['a'], timeout: '2h' }, 'timeout must be'],
    [{ url, topics: ['a'], retry: { attempts: 0 } }, 'retry must be'],
    [{ url, topics: ['a'], retry: { min: '2h', max: '1h' } }, 'retry must be'],
    [{ url, topics: ['a'], filter: { like: {} } }, 'filter'],
    [{ url, topics: ['a'], colour: 'red' }, 'colour is not an option'],
    [{ url, topics: ['a'], asymmetric: 1 }, 'asymmetric must be'],
    [{ url, topics: ['x'.repeat(limits.nameLengthMax)] }, 'too long together'],
  ])('%j are refused', (given, fault) => {
    expect(read(given).faults.join('; ')).toContain(fault);
  });

  it.each(['', '-a', 'a b', 'a/b', 'ä', 'a'.repeat(65)])('name no endpoint %j', (name) => {
    expect(read({ url, topics: ['a'] }, name).faults.join()).toContain('the name must have');
  });

  it('say which subscriptions it consists of', () => {
    const { spec } = read({ url, topics: ['orders'], events: ['run.failed', 'approval.requested'], order: 'none' });
    expect(subscriptionsOf(spec).map(({ name, topic, order, filter }) => ({ name, topic, order, filter }))).toEqual([
      { name: 'webhook:shop:orders', topic: 'orders', order: 'none', filter: null },
      {
        name: 'webhook:shop:eventspine.run-events',
        topic: 'eventspine.run-events',
        order: 'none',
        filter: { any: [{ exact: { type: 'run.failed' } }] },
      },
      {
        name: 'webhook:shop:eventspine.approval-requested',
        topic: 'eventspine.approval-requested',
        order: 'none',
        filter: null,
      },
    ]);
  });
});

describe('the pause before the next attempt', () => {
  const retry = { attempts: 10, minMs: 1_000, maxMs: 60_000 };

  it('doubles up to its bound, is at least half of it, and at least what the receiver asks for', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.option(fc.integer({ min: 0, max: 10 * limits.webhookRetryAfterMsMax })),
        (attempt, random, askedMs) => {
          const ceilingMs = Math.min(60_000, 1_000 * 2 ** (attempt - 1));
          const pauseMs = pauseAfter(retry, attempt, askedMs, random) ?? -1;
          expect(pauseMs).toBeGreaterThanOrEqual(Math.min(askedMs ?? 0, limits.webhookRetryAfterMsMax));
          expect(pauseMs).toBeGreaterThanOrEqual(ceilingMs / 2 - 1);
          expect(pauseMs).toBeLessThanOrEqual(Math.max(ceilingMs, limits.webhookRetryAfterMsMax));
        },
      ),
    );
  });

  it('is none after the last attempt', () => {
    expect(pauseAfter(retry, 10, null, 0)).toBeNull();
    expect(pauseAfter(retry, 11, 5, 0)).toBeNull();
  });

  it('of an endpoint that says nothing else lasts for some three days in all', () => {
    const { spec } = read({ url, topics: ['a'] });
    let totalMs = 0;
    for (let attempt = 1; ; attempt++) {
      const pauseMs = pauseAfter(spec.retry, attempt, null, 0.5);
      if (pauseMs === null) break;
      totalMs += pauseMs;
    }
    expect(totalMs / 86_400_000).toBeGreaterThan(2.5);
    expect(totalMs / 86_400_000).toBeLessThan(3.5);
  });
});
