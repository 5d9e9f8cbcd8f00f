/**
 * Agents of the AI SDK, both versions, whose worker is killed again and again. The endpoint of the models is in the process of the
 * test, which nobody kills: what it was asked to answer is what somebody would be billed for, whatever the runs say of themselves.
 */
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { RunEventView, RunView } from '../../src/protocol/http.js';
import { startModelEndpoint } from '../support/model-endpoint/endpoint.js';
import type { Script } from '../support/model-endpoint/script.js';
import type { Inference } from '../support/model-endpoint/witness.js';
import { AgentInstallation } from './support/agent-installation.js';
import { endAll, nightly } from './support/processes.js';

const kills = nightly ? 200 : 3;
const policies = ['keyed', 'plain', 'careful'] as const;

const script: Script = {
  chunkMs: 10,
  conversations: [
    {
      match: 'weather',
      turns: [
        { text: 'I look at both.', tools: ['Lima', 'Oslo'].map((city) => ({ name: 'look', arguments: { city } })) },
        { text: 'Now I send it.', tools: [{ name: 'send', arguments: { to: 'ada' } }] },
        { text: 'It is sent to Ada and all is well.' },
      ],
    },
  ],
};

const expected = {
  text: 'It is sent to Ada and all is well.',
  steps: 3,
  results: [{ city: 'Lima', degrees: 4 }, { city: 'Oslo', degrees: 4 }, 'sent to ada'],
};

afterEach(endAll);
const figures: string[] = [];
afterAll(() => {
  for (const line of figures) console.log(line);
});

describe('agents whose worker is killed', () => {
  it('pay for each answer once, or by the policy that they declare, and do nothing outside twice', async () => {
    const keyed = await startModelEndpoint({ ...script, honoursKeys: true });
    const plain = await startModelEndpoint(script);
    const installation = await AgentInstallation.begin({ MODEL_KEYED: keyed.url, MODEL_PLAIN: plain.url });
    try {
      const started = new Map<string, string>();
      for (let kill = 0; kill < kills; kill++) {
        const struck: string[] = [];
        // The kill finds each of them at another point of its way.
        for (let i = 0; i < 2; i++) {
          for (const model of policies) {
            for (const version of [6, 7]) {
              const tag = `${model}-${version}-${kill}-${i}`;
              struck.push(await installation.start(`agent-${version}`, { tag, model }));
              started.set(tag, struck.at(-1) ?? '');
              await new Promise((wake) => setTimeout(wake, 20 + ((kill * 37 + i * 13) % 50)));
            }
          }
        }
        await installation.killWorker();
        await installation.ended(struck, 60_000);
      }
      const redrives = new Map<string, number>();
      let views = await installation.ended([...started.values()], 60_000);
      // A person looks at what nobody knows the outcome of, and sends it back to work.
      for (let round = 0; round < 5 && views.some(isAmbiguous); round++) {
        for (const view of views.filter(isAmbiguous)) {
          redrives.set(view.id, (redrives.get(view.id) ?? 0) + 1);
          await installation.post(`/v1/runs/${view.id}/retry`);
        }
        views = await installation.ended([...started.values()], 60_000);
      }
      expect(views.filter(({ state }) => state !== 'succeeded').map((view) => [view.id, view.failure])).toEqual([]);

      const books = [...keyed.books().inferences, ...plain.books().inferences];
      const by = new Map(policies.map((model) => [model, { inferences: 0, paid: 0, ambiguous: 0 }]));
      for (const [tag, id] of started) {
        const history = await installation.history(id);
        expect(await installation.get(`/v1/runs/${id}/result`)).toEqual(expected);
        const model = policies.find((one) => tag.startsWith(one)) ?? 'plain';
        const paid = books.filter((inference) => inference.tag === tag);
        const completed = count(history, 'inference.completed');
        const ambiguous = count(history, 'inference.ambiguous');
        const repeated = [...countBy(paid)].filter(([, times]) => times > 1);
        if (model === 'keyed') expect([tag, repeated]).toEqual([tag, []]);
        // Nothing is paid that is not recorded, apart from what an ambiguity that is recorded stands for.
        expect(paid.length, tag).toBeGreaterThanOrEqual(completed);
        expect(paid.length, tag).toBeLessThanOrEqual(completed + ambiguous);
        if (model === 'careful') expect(paid.length, tag).toBeLessThanOrEqual(completed + (redrives.get(id) ?? 0));
        const sum = by.get(model);
        if (sum !== undefined) {
          sum.inferences += completed;
          sum.paid += paid.length;
          sum.ambiguous += ambiguous;
        }
      }
      // What is external has happened one time, and once more only where a person has said so.
      for (const [key, times] of installation.executionsOf('send')) {
        const run = /run_\w+/.exec(key)?.[0] ?? '';
        expect(times, key).toBeLessThanOrEqual(1 + (redrives.get(run) ?? 0));
      }
      for (const [model, { inferences, paid, ambiguous }] of by) {
        figures.push(
          `${model}: ${inferences} answers, ${paid} inferences paid, ${paid - inferences} of them twice, ${ambiguous} ambiguous`,
        );
      }
      figures.push(`kills: ${kills}, runs: ${started.size}, sent back by a person: ${redrives.size}`);
    } finally {
      await installation.end();
      await Promise.all([keyed.close(), plain.close()]);
    }
  });
});

function isAmbiguous({ state, failure }: RunView): boolean {
  return state === 'failed' && /AMBIGUOUS/.test(failure?.code ?? '');
}

function count(history: readonly RunEventView[], type: string): number {
  return history.filter((event) => event.type === type).length;
}

function countBy(inferences: readonly Inference[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { content } of inferences) counts.set(content, (counts.get(content) ?? 0) + 1);
  return counts;
}
