/**
 * Agents of the AI SDK, both versions, whose worker is killed again and again. The endpoints of the models are in this process,
 * which nobody kills: what they were asked to answer is what somebody would be billed for, whatever the runs say of themselves.
 */
import { isDeepStrictEqual } from 'node:util';
import type { RunEventView, RunView } from '../../../src/protocol/http.js';
import { startModelEndpoint } from '../../support/model-endpoint/endpoint.js';
import type { Script } from '../../support/model-endpoint/script.js';
import type { Inference } from '../../support/model-endpoint/witness.js';
import { AgentInstallation } from './agent-installation.js';

/** The models of the worker under test: with keys; without; without, and whatever is ambiguous put before a person. */
export const agentModels = ['keyed', 'plain', 'careful'] as const;

export type AgentModel = (typeof agentModels)[number];

/** What came of the agents of one model. */
export interface AgentFigures {
  /** Answers that were recorded, and those that somebody would be billed for. */
  answers: number;
  paid: number;
  /** Calls that were begun and whose answer was not recorded when the worker died. */
  ambiguous: number;
  /** What was paid for twice although the first answer had left the endpoint as a whole. */
  lostWhole: number;
  /** Runs that a person has sent back. */
  sentBack: number;
  runs: number;
}

export interface DrillReport {
  readonly figures: Readonly<Record<AgentModel, AgentFigures>>;
  /** Everything that is wrong. Empty = nothing is. */
  readonly faults: readonly string[];
}

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

/** Agents of a kind that are under way at each kill. */
const atOnce = 2;
const endMsMax = 120_000;

/** Kills the worker so many times, each time with agents of every model and version at other points of their way. */
export async function drillAgents(kills: number): Promise<DrillReport> {
  const keyed = await startModelEndpoint({ ...script, honoursKeys: true });
  const plain = await startModelEndpoint(script);
  const installation = await AgentInstallation.begin({ MODEL_KEYED: keyed.url, MODEL_PLAIN: plain.url });
  try {
    const started = new Map<string, string>();
    for (let kill = 0; kill < kills; kill++) {
      const struck: string[] = [];
      for (let i = 0; i < atOnce; i++) {
        for (const model of agentModels) {
          for (const version of [6, 7]) {
            const tag = `${model}-${version}-${kill}-${i}`;
            struck.push(await installation.start(`agent-${version}`, { tag, model }));
            started.set(tag, struck.at(-1) ?? '');
            await new Promise((wake) => setTimeout(wake, 20 + Math.random() * 50));
          }
        }
      }
      await installation.killWorker();
      await installation.ended(struck, endMsMax);
    }
    const redrives = await sendBack(installation, [...started.values()]);
    const books = [...keyed.books().inferences, ...plain.books().inferences];
    return await judged(installation, started, redrives, books);
  } finally {
    await installation.end();
    await Promise.all([keyed.close(), plain.close()]);
  }
}

/** A person looks at what nobody knows the outcome of, and sends it back to work: how often, by run. */
async function sendBack(
  installation: AgentInstallation,
  runs: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const redrives = new Map<string, number>();
  for (let round = 0; round < 5; round++) {
    const open = (await installation.ended(runs, endMsMax)).filter(isAmbiguous);
    if (open.length === 0) break;
    for (const { id } of open) {
      redrives.set(id, (redrives.get(id) ?? 0) + 1);
      await installation.post(`/v1/runs/${id}/retry`);
    }
  }
  return redrives;
}

async function judged(
  installation: AgentInstallation,
  started: ReadonlyMap<string, string>,
  redrives: ReadonlyMap<string, number>,
  books: readonly Inference[],
): Promise<DrillReport> {
  const faults: string[] = [];
  const none = { answers: 0, paid: 0, ambiguous: 0, lostWhole: 0, sentBack: 0, runs: 0 };
  const figures: Record<AgentModel, AgentFigures> = { keyed: { ...none }, plain: { ...none }, careful: { ...none } };
  for (const [tag, id] of started) {
    const model = agentModels.find((one) => tag.startsWith(one)) ?? 'plain';
    const view = await installation.run(id);
    if (view.state !== 'succeeded') {
      faults.push(`${tag} (${id}) is ${view.state}: ${JSON.stringify(view.failure ?? view.waitingFor)}`);
      continue;
    }
    const result = await installation.get(`/v1/runs/${id}/result`);
    if (!isDeepStrictEqual(result, expected)) faults.push(`${tag} came to ${JSON.stringify(result)}`);
    const history = await installation.history(id);
    const paid = books.filter((inference) => inference.tag === tag);
    const answers = count(history, 'inference.completed');
    const ambiguous = count(history, 'inference.ambiguous');
    // Nothing is paid that is not recorded, apart from what an ambiguity that is recorded stands for.
    if (paid.length < answers) faults.push(`${tag} has ${answers} answers, of which ${paid.length} were given`);
    if (paid.length > answers + ambiguous)
      faults.push(`${tag} has paid ${paid.length} times for ${answers} answers, with ${ambiguous} ambiguities`);
    const repeated = repeatedIn(paid);
    if (model === 'keyed' && repeated.length > 0) faults.push(`${tag} has paid twice under one key`);
    if (model === 'careful' && paid.length > answers + (redrives.get(id) ?? 0))
      faults.push(`${tag} has paid twice, and nobody has said so`);
    const sum = figures[model];
    sum.runs += 1;
    sum.answers += answers;
    sum.paid += paid.length;
    sum.ambiguous += ambiguous;
    sum.lostWhole += repeated.filter(({ answered }) => answered).length;
    sum.sentBack += redrives.has(id) ? 1 : 0;
  }
  // What is external has happened one time, and once more only where a person has said so.
  for (const [key, times] of installation.executionsOf('send')) {
    const run = /run_\w+/.exec(key)?.[0] ?? '';
    if (times > 1 + (redrives.get(run) ?? 0)) faults.push(`${key} was sent ${times} times`);
  }
  return { figures, faults };
}

/** Of what was paid for more than once, all but the last. */
function repeatedIn(paid: readonly Inference[]): Inference[] {
  return paid.filter((one, i) => paid.some((later, j) => j > i && later.content === one.content));
}

function isAmbiguous({ state, failure }: RunView): boolean {
  return state === 'failed' && /AMBIGUOUS/.test(failure?.code ?? '');
}

function count(history: readonly RunEventView[], type: string): number {
  return history.filter((event) => event.type === type).length;
}
