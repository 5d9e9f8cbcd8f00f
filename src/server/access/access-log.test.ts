import { describe, expect, it } from 'vitest';
import type { AccessRecord } from '../../core/access/record.js';
import { limits } from '../../core/limits.js';
import type { Engine } from '../../engine/api.js';
import { AccessLog, type RefusedRequest } from './access-log.js';
import { fakeEngine } from '../engine.test.fake.js';
import type { Principal } from '../options.js';
import { createServer } from '../server.js';

interface Written extends AccessRecord {
  readonly tenant: string | null;
}

function watched(record?: Engine['recordAccess']) {
  const written: Written[] = [];
  const timers: (() => void)[] = [];
  const faults: string[] = [];
  const log = new AccessLog({
    engine: {
      recordAccess:
        record ??
        ((records) => {
          written.push(...records.map((one) => ({ tenant: one.tenant, ...one.record })));
          return Promise.resolve();
        }),
    },
    clock: { now: () => 1_800_000_000_000, monotonicMs: () => 0 },
    timers: {
      after: (ms, fn) => {
        expect(ms).toBe(limits.accessWindowMs);
        timers.push(fn);
        return () => undefined;
      },
      turn: (fn) => fn(),
    },
    log: ({ message }) => faults.push(message),
  });
  return { log, written, timers, faults };
}

const request = (id: RefusedRequest['id'] = 'readRun'): RefusedRequest => ({
  id,
  segments: { id: 'run%5F1' },
  requestId: 'r-1',
});
const eve = { tenant: 'acme', user: 'eve', visits: false };

describe('the record of refusals', () => {
  it('is written at once for the first of a kind, and once a minute for its repeats', async () => {
    const { log, written, timers } = watched();
    for (let i = 0; i < 1_000; i++) log.refused(request(), eve, 'PERMISSION_MISSING');
    expect(written).toMatchObject([
      { tenant: 'acme', actor: 'client:eve', outcome: 'refused', route: 'readRun', target: 'id=run_1', count: 1 },
    ]);
    expect(timers).toHaveLength(1);
    timers[0]?.();
    await log.flush();
    expect(written.map(({ count }) => count)).toEqual([1, 999]);
    log.refused(request(), eve, 'PERMISSION_MISSING');
    expect(written.map(({ count }) => count)).toEqual([1, 999, 1]);
  });

  it('tells callers, routes and codes apart', () => {
    const { log, written } = watched();
    log.refused(request(), eve, 'PERMISSION_MISSING');
    log.refused(request(), { ...eve, user: 'bob' }, 'PERMISSION_MISSING');
    log.refused(request('readHistory'), eve, 'PERMISSION_MISSING');
    log.refused(request(), eve, 'FORBIDDEN');
    log.refused(request('*'), null, 'UNAUTHENTICATED');
    expect(written.map(({ tenant, actor, route, code }) => [tenant, actor, route, code])).toEqual([
      ['acme', 'client:eve', 'readRun', 'PERMISSION_MISSING'],
      ['acme', 'client:bob', 'readRun', 'PERMISSION_MISSING'],
      ['acme', 'client:eve', 'readHistory', 'PERMISSION_MISSING'],
      ['acme', 'client:eve', 'readRun', 'FORBIDDEN'],
      [null, null, '*', 'UNAUTHENTICATED'],
    ]);
  });

  it('has a bound, whoever sends what', async () => {
    const { log, written } = watched();
    const many = limits.accessRefusalsMax + 5_000;
    for (let i = 0; i < many; i++) log.refused(request(), { ...eve, user: `user-${i}` }, 'FORBIDDEN');
    await log.flush();
    expect(written).toHaveLength(limits.accessRefusalsMax + 1);
    expect(written.at(-1)).toMatchObject({ tenant: null, actor: null, route: '*', count: 5_000 });
    expect(written.reduce((sum, { count }) => sum + count, 0)).toBe(many);
  });

  it('that cannot be written is told to the operator, and refuses all the same', async () => {
    const { log, faults } = watched(() => {
      throw new Error('the disk is full');
    });
    log.refused(request(), eve, 'FORBIDDEN');
    await log.flush();
    expect(faults).toEqual(['1 records of access could not be written.']);
  });
});

describe('what a server records', () => {
  function installation(principal: Partial<Principal> | null, methods: Partial<Engine> = {}) {
    const written: Written[] = [];
    const order: string[] = [];
    const server = createServer({
      engine: fakeEngine({
        recordAccess: (records) => {
          order.push('record');
          written.push(...records.map((one) => ({ tenant: one.tenant, ...one.record })));
          return Promise.resolve();
        },
        cancel: () => {
          order.push('cancel');
          return Promise.resolve({ tag: 'done' });
        },
        listRuns: () => Promise.resolve({ items: [], next: null }),
        workflowOf: () => Promise.resolve('secret'),
        ...methods,
      }),
      authorize: () => (principal === null ? null : { tenant: 'acme', user: 'ada', roles: ['operator'], ...principal }),
      log: () => undefined,
    });
    const ask = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
      (
        await server.fetch(
          new Request(`http://localhost${path}`, {
            method,
            headers: { 'content-type': 'application/json', ...headers },
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          }),
        )
      ).status;
    return { ask, written, order, server };
  }

  it('is each act before it is done, with its reason', async () => {
    const { ask, written, order } = installation({});
    expect(await ask('POST', '/v1/runs/run_1/cancel', { reason: 'a mistake' })).toBe(202);
    expect(await ask('POST', '/v1/runs/run_2/cancel', {}, { 'eventspine-reason': 'another' })).toBe(202);
    expect(order).toEqual(['record', 'cancel', 'record', 'cancel']);
    expect(written).toMatchObject([
      {
        tenant: 'acme',
        outcome: 'allowed',
        actor: 'client:ada',
        route: 'cancelRun',
        target: 'id=run_1',
        reason: 'a mistake',
      },
      { target: 'id=run_2', reason: 'another' },
    ]);
  });

  it('is no act that could not be written down: it is not done either', async () => {
    const { ask, order } = installation({}, { recordAccess: () => Promise.reject(new Error('the disk is full')) });
    expect(await ask('POST', '/v1/runs/run_1/cancel', {})).toBe(500);
    expect(order).toEqual([]);
  });

  it('is what came to nothing, and what was refused, hidden or not', async () => {
    const failing = installation({}, { cancel: () => Promise.reject(new Error('no')) });
    await failing.ask('POST', '/v1/runs/run_1/cancel', {});
    expect(failing.written.map(({ outcome, code }) => [outcome, code])).toEqual([
      ['allowed', null],
      ['failed', 'INTERNAL'],
    ]);
    const hidden = installation({ permissions: ['read:workflow/mine'] });
    expect(await hidden.ask('GET', '/v1/runs/run_1')).toBe(404);
    expect(hidden.written).toMatchObject([{ outcome: 'refused', code: 'PERMISSION_MISSING', target: 'id=run_1' }]);
    const stranger = installation(null);
    expect(await stranger.ask('GET', '/v1/runs')).toBe(401);
    expect(stranger.written).toMatchObject([{ tenant: null, actor: null, route: 'listRuns', code: 'UNAUTHENTICATED' }]);
  });

  it('is that an operator was at work in another tenant, in the record of that tenant', async () => {
    const { ask, written } = installation({});
    expect(await ask('GET', '/v1/runs')).toBe(200);
    expect(await ask('GET', '/v1/runs', undefined, { 'eventspine-tenant': 'rival' })).toBe(200);
    expect(written).toMatchObject([{ tenant: 'rival', actor: 'client:ada', route: 'listRuns', outcome: 'allowed' }]);
  });

  it('is complete when the server has closed', async () => {
    const { ask, written, server } = installation({ permissions: [] });
    for (let i = 0; i < 3; i++) await ask('GET', '/v1/runs');
    await server.close();
    expect(written.map(({ count }) => count)).toEqual([1, 2]);
  });
});
