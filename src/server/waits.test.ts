/** What the server makes of requests about signals and approvals: who speaks, in whose name, and what it refuses. */
import { describe, expect, it } from 'vitest';
import type { ApprovalQuery, Engine, SignalRequest } from '../engine/api.js';
import type { Person } from '../core/run/waits.js';
import type { Problem } from '../protocol/http.js';
import { fakeEngine } from './engine.test.fake.js';
import { createServer } from './server.js';

interface Said {
  readonly id: string;
  readonly person: Person;
  readonly say: unknown;
}

function serve(user: string, roles: readonly string[]) {
  const said: Said[] = [];
  const queries: ApprovalQuery[] = [];
  const signals: SignalRequest[] = [];
  const methods: Partial<Engine> = {
    sayOfApproval: async (_, id, person, say) => {
      said.push({ id, person, say });
      return { tag: 'done' };
    },
    listApprovals: async (_, query) => {
      queries.push(query);
      return { items: [], next: null };
    },
    readApproval: async () => null,
    signal: async (_, __, signal) => {
      signals.push(signal);
      return { tag: 'already' };
    },
  };
  const server = createServer({ engine: fakeEngine(methods), authorize: () => ({ tenant: 't', user, roles }) });
  const ask = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ readonly status: number; readonly body: Partial<Problem> }> => {
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    const response = await server.fetch(
      new Request(`http://localhost${path}`, {
        method,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...init,
      }),
    );
    return { status: response.status, body: (await response.json()) as Partial<Problem> };
  };
  return { ask, said, queries, signals };
}

describe('approvals over HTTP', () => {
  it('are decided in the name that `authorize` gives, with its roles', async () => {
    const { ask, said } = serve('ann', ['editor']);
    expect((await ask('POST', '/v1/approvals/run_1.7/approve', { form: { x: 1 }, comment: 'fine' })).status).toBe(202);
    await ask('POST', '/v1/approvals/run_1.7/reject');
    await ask('POST', '/v1/approvals/run_1.7/delegate', { to: ['user:zoe', 'user:zoe'] });
    await ask('POST', '/v1/approvals/run_1.7/comments', { text: 'why?' });
    expect(said.map(({ say }) => say)).toEqual([
      { what: 'approve', form: { x: 1 }, comment: 'fine' },
      { what: 'reject' },
      { what: 'delegate', to: ['user:zoe'] },
      { what: 'comment', text: 'why?' },
    ]);
    expect(said[0]).toMatchObject({ id: 'run_1.7', person: { name: 'user:ann', roles: ['editor'] } });
  });

  it('let operators decide everything and speak for others, and nobody else', async () => {
    const operator = serve('root', ['operator']);
    await operator.ask('POST', '/v1/approvals/a/approve');
    await operator.ask('POST', '/v1/approvals/a/approve', { as: { user: 'ann', roles: ['editor'] } });
    expect(operator.said.map(({ person }) => person)).toEqual([
      { name: 'user:root', roles: null },
      { name: 'user:ann', roles: ['editor'] },
    ]);
    const other = serve('bob', ['editor']);
    const refused = await other.ask('POST', '/v1/approvals/a/approve', { as: { user: 'ann' } });
    expect([refused.status, refused.body.code]).toEqual([403, 'FORBIDDEN']);
    expect(other.said).toEqual([]);
  });

  it('list what the caller may decide, unless another address is asked for', async () => {
    const ann = serve('ann', ['editor', 'chief']);
    await ann.ask('GET', '/v1/approvals');
    await ann.ask('GET', '/v1/approvals?to=role%3Ax&to=user%3Ay&limit=3&cursor=c');
    await ann.ask('GET', '/v1/approvals?to=*');
    await serve('root', ['operator']).ask('GET', '/v1/approvals');
    expect(ann.queries).toEqual([
      { to: ['user:ann', 'role:editor', 'role:chief'], limit: 50 },
      { to: ['role:x', 'user:y'], limit: 3, cursor: 'c' },
      { to: null, limit: 50 },
    ]);
  });

  it('refuse what is no word', async () => {
    const { ask, said } = serve('ann', []);
    const bad: [string, unknown][] = [
      ['approve', { forms: 1 }],
      ['approve', []],
      ['reject', { comment: 7 }],
      ['delegate', {}],
      ['delegate', { to: ['ann'] }],
      ['delegate', { to: [] }],
      ['comments', { text: '' }],
      ['comments', { text: 'x'.repeat(10_001) }],
    ];
    for (const [route, body] of bad) {
      const answer = await ask('POST', `/v1/approvals/a/${route}`, body);
      expect([route, answer.status, answer.body.code]).toEqual([route, 400, 'REQUEST_INVALID']);
    }
    expect(said).toEqual([]);
    expect((await ask('GET', '/v1/approvals/none')).body.code).toBe('APPROVAL_NOT_FOUND');
  });
});

describe('signals over HTTP', () => {
  it('have the idempotency key for their id, and one of their own without it', async () => {
    const { ask, signals } = serve('ann', []);
    const answer = await ask('POST', '/v1/runs/run_1/signals/paid', { n: 1 }, { 'idempotency-key': '"k"' });
    expect([answer.status, answer.body]).toEqual([200, { id: 'run_1', outcome: 'already' }]);
    await ask('POST', '/v1/runs/run_1/signals/paid%20late');
    expect(signals[0]).toMatchObject({ id: 'k', name: 'paid', data: { text: '{"n":1}' } });
    expect(signals[1]).toMatchObject({ name: 'paid late', data: null });
    expect(signals[1]?.id).toMatch(/^evt_/);
    expect((await ask('POST', `/v1/runs/run_1/signals/${'x'.repeat(129)}`)).status).toBe(400);
  });
});
