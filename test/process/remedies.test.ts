/**
 * Remedies over real HTTP, with a worker that is killed meanwhile: the endpoint, which nobody kills, says what was asked of it and
 * what was paid for.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import type { DeadLetterDetail, DecisionView, RunView } from '../../src/protocol/http.js';
import { startModelEndpoint } from '../support/model-endpoint/endpoint.js';
import type { PlannedFault } from '../support/model-endpoint/script.js';
import { AgentInstallation } from './support/agent-installation.js';
import { endAll, nightly } from './support/processes.js';

const rounds = nightly ? 20 : 1;
const kinds = ['wait', 'reroute', 'compact', 'fallback', 'repair', 'quarantine'] as const;
const remedyOf = { wait: 'wait', reroute: 'reroute', compact: 'compact', fallback: 'fallback' } as const;
const by = {
  wait: ['main', 'v1'],
  reroute: ['windows', 'large'],
  compact: ['tight', 'v1'],
  fallback: ['spare', 'v1'],
  repair: ['main', 'v1'],
} as const;
const pauseMs = 2_000;

afterEach(endAll);

function refused(match: string, status: number, code: string, message: string): PlannedFault {
  return { match, times: 10_000, fault: { kind: 'status', status, body: { error: { code, message } } } };
}

const tooLong = "This model's maximum context length is 100 tokens, however you requested 900 tokens.";
const always = [
  refused('"model":"small"', 400, 'context_length_exceeded', tooLong),
  refused('PADDING', 400, 'context_length_exceeded', tooLong),
  refused('"model":"strict"', 400, 'content_filter', 'The prompt was filtered by our content policy.'),
  refused('"model":"broken"', 500, 'oops', 'Something broke.'),
];

it('carries remedies out, whatever dies meanwhile, and pays for no answer twice', async () => {
  const endpoint = await startModelEndpoint({ honoursKeys: true });
  const installation = await AgentInstallation.begin({ MODEL: endpoint.url }, 'remedy-worker.mjs');
  try {
    const started: {
      readonly kind: (typeof kinds)[number];
      readonly tag: string;
      readonly id: string;
    }[] = [];
    for (let round = 0; round < rounds; round++) {
      const tags = kinds.map((kind) => `${kind}-${round}`);
      const headers = { 'retry-after': String(pauseMs / 1_000) };
      endpoint.setScript({
        honoursKeys: true,
        conversations: [{ match: `#repair-${round}`, turns: [{ text: 'one' }, { text: '{"n":1}' }] }],
        faults: [...always, { match: `#wait-${round}`, fault: { kind: 'status', status: 429, headers } }],
      });
      for (const [i, kind] of kinds.entries()) {
        const tag = tags[i] ?? '';
        started.push({ kind, tag, id: await installation.start('ask', { what: kind, tag }) });
      }
      // It is to die in the pause; in the midst of the others.
      const waiting = started.at(-kinds.length)?.id ?? '';
      while (!(await installation.history(waiting)).some(({ type }) => type === 'inference.retrying')) await pause(10);
      await pause((round * 53) % 200);
      await installation.killWorker();
      await installation.ended(
        started.slice(-kinds.length).map(({ id }) => id),
        30_000,
      );
    }

    for (const { kind, tag, id } of started) {
      const { state, failure } = (await installation.get(`/v1/runs/${id}`)) as RunView;
      const { items } = (await installation.get(`/v1/runs/${id}/decisions`)) as { items: readonly DecisionView[] };
      const history = await installation.history(id);
      const paid = endpoint.books().inferences.filter((inference) => inference.tag === tag);
      const completed = history.filter(({ type }) => type === 'inference.completed').length;
      expect(paid.length, tag).toBe(completed);
      const hops = items.flatMap((decision) => decision.hops);
      if (kind === 'quarantine') {
        expect([tag, state, failure?.class]).toEqual([tag, 'failed', 'dependency']);
        expect(hops.map(({ remedy }) => remedy?.name)).toContain('quarantine');
        const letters = (await installation.get('/v1/dead-letters')) as { items: readonly DeadLetterDetail[] };
        const letter = letters.items.find(({ run }) => run === id);
        const { trail } = (await installation.get(`/v1/dead-letters/${letter?.id}`)) as DeadLetterDetail;
        expect(trail.map(({ remedy }) => remedy?.text)).toContain('quarantine');
        continue;
      }
      expect([tag, state]).toEqual([tag, 'succeeded']);
      expect(((await installation.get(`/v1/runs/${id}/result`)) as unknown[]).slice(1)).toEqual(by[kind]);
      if (kind === 'repair') expect(items[0]?.rules).toContain('invalid_output: repair');
      else expect(hops.map(({ remedy }) => remedy?.name)).toContain(remedyOf[kind]);
      if (kind === 'wait') {
        const [refusal, answered] = ['inference.retrying', 'inference.completed'].map((wanted) =>
          Date.parse(history.find(({ type }) => type === wanted)?.at ?? ''),
        );
        expect((answered ?? 0) - (refusal ?? 0)).toBeGreaterThanOrEqual(pauseMs);
      }
    }
    const metrics = await (await fetch(`${installation.url}/metrics`)).text();
    expect(metrics).toMatch(/eventspine_remedies_total\{class="context_length_exceeded",remedy="reroute"\} [1-9]/);
  } finally {
    await installation.end();
    await endpoint.close();
  }
});
