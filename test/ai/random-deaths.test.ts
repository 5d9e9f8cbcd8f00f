/**
 * Agents of the AI SDK over random deaths, faults of the provider and policies: whatever happens, the agent comes to its answer or
 * to an end that a person sees, and the provider, who is the witness, was paid for no answer twice without an ambiguity on record.
 * `EVENTSPINE_NIGHTLY=1` takes 1,000 seeds, `EVENTSPINE_AI_SEED=<n>` that one alone.
 */
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { AmbiguityPolicy } from '../../src/core/run/inference.js';
import { fakeModel, type FakeReply } from '../../src/testing/index.js';
import { Prng } from '../../src/testing/simulator/prng.js';
import { model, Transient, workflow } from '../../src/workflow/index.js';
import { MiniEngine } from '../replay/mini-engine.js';
import { dies, quiet } from './drive.js';
import { sdks, type SdkVersion } from './sdks.js';

// What the SDK reports of errors that are meant to be.
vi.spyOn(console, 'error').mockImplementation(() => undefined);

const only = process.env['EVENTSPINE_AI_SEED'];
const count = process.env['EVENTSPINE_NIGHTLY'] === '1' ? 1_000 : 12;
const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i) : [Number(only)];

const policies: readonly (AmbiguityPolicy | null)[] = [null, 'retry', 'fetch-by-id', 'dead-letter'];

/** What one seed stands for. */
class World {
  readonly random: Prng;
  readonly version: SdkVersion;
  readonly streams: boolean;
  readonly keyed: boolean;
  readonly policy: AmbiguityPolicy | null;
  readonly turns: FakeReply[] = [];
  /** By the id of the call. */
  readonly executions = new Map<string, number>();
  faults = 0;
  redrives = 0;

  constructor(seed: number) {
    this.random = new Prng(`agents/${seed}`);
    this.version = this.chance(0.5) ? 6 : 7;
    this.streams = this.chance(0.6);
    this.keyed = this.chance(0.4);
    this.policy = policies[Math.floor(this.random.next() * policies.length)] ?? null;
    const rounds = 1 + Math.floor(this.random.next() * 3);
    for (let round = 0; round < rounds; round++) {
      const calls = 1 + Math.floor(this.random.next() * 3);
      this.turns.push({
        text: `Round ${round}. `,
        toolCalls: Array.from({ length: calls }, (_, i) => ({
          name: this.chance(0.3) ? 'send' : 'look',
          input: { what: `${round}.${i}` },
          id: `c${round}.${i}`,
        })),
      });
    }
    this.turns.push({ text: 'This is the end of it.' });
  }

  chance(of: number): boolean {
    return this.random.next() < of;
  }
}

function bodyOf(world: World) {
  const { ToolLoopAgent, tool } = sdks[world.version];
  const use = fakeModel(
    ({ prompt }) => {
      const reply = world.turns[prompt.filter(({ role }) => role === 'assistant').length] ?? 'What?';
      if (world.faults > 2 || !world.chance(0.15)) return reply;
      world.faults += 1;
      if (typeof reply !== 'string' && world.streams && !world.keyed && world.chance(0.5))
        return { ...reply, cutAfter: 4 };
      throw new Transient('busy');
    },
    { idempotent: world.keyed },
  );
  const writer = model('writer', {
    versions: { v1: { use } },
    ...(world.policy === null ? {} : { policy: [world.policy, 'retry'] }),
  });
  const inputSchema = z.object({ what: z.string() });
  const execute = ({ what }: { readonly what: string }): string => {
    world.executions.set(what, (world.executions.get(what) ?? 0) + 1);
    return `did ${what}`;
  };
  const tools = { look: tool({ inputSchema, execute }), send: tool({ inputSchema, execute }) };
  const body = workflow('w', {}, (ctx) =>
    ctx.ai('draft', async (ai) => {
      const own = ai.tools(tools, { each: { send: { effect: 'external' } } });
      const agent = new ToolLoopAgent({ model: ai.model(writer), tools: own });
      return world.streams ? await agent.stream({ prompt: 'go' }) : await agent.generate({ prompt: 'go' });
    }),
  );
  return { use, body };
}

async function lived(world: World, engine: MiniEngine): Promise<void> {
  engine.begin();
  let deaths = 0;
  for (let turn = 0; turn < 400; turn++) {
    if (engine.ended) {
      if (engine.last.type !== 'run.failed') return;
      // A person has looked at it.
      world.redrives += 1;
      engine.redrive();
      engine.begin();
    }
    await quiet(engine);
    if (deaths < 6 && world.chance(0.12)) {
      deaths += 1;
      dies(engine);
    } else if (engine.submissions.length > 0) engine.commit();
    else {
      engine.time.advance(100);
      const [paused] = engine.timers();
      if (paused !== undefined && engine.submissions.length === 0) engine.fire(paused);
    }
  }
  throw new Error('it comes to no end');
}

describe('agents of the AI SDK', () => {
  it.each(seeds)('come to their end, and pay for it once, in world %d', async (seed) => {
    const world = new World(seed);
    const { use, body } = bodyOf(world);
    const engine = new MiniEngine(body);
    await lived(world, engine);
    const answer = engine.last.payload;
    if (answer === undefined || !('text' in answer)) throw new Error(`no answer: ${JSON.stringify(engine.last)}`);
    const { text, steps, toolResults } = JSON.parse(answer.text) as {
      readonly text: string;
      readonly steps: number;
      readonly toolResults: readonly { readonly output: string }[];
    };
    expect([text, steps]).toEqual(['This is the end of it.', world.turns.length]);
    const calls = world.turns.flatMap(({ toolCalls = [] }) => toolCalls);
    // Of one round in the order in which they came to their ends.
    const outputs = calls.map(({ input }) => `did ${(input as { what: string }).what}`);
    expect(toolResults.map(({ output }) => output).toSorted()).toEqual(outputs);

    const count = (type: string): number => engine.events.filter((event) => event.type === type).length;
    const ambiguous = count('inference.ambiguous');
    // Attempts that gave nothing have been begun by the provider, too; with the same key an ambiguous one costs nothing.
    const isFree = world.keyed && world.policy === null;
    expect(use.paid).toBeLessThanOrEqual(world.turns.length + world.faults + (isFree ? 0 : ambiguous));
    for (const { name, input } of calls) {
      const times = world.executions.get((input as { what: string }).what) ?? 0;
      expect(times).toBeGreaterThanOrEqual(1);
      if (name === 'send') expect(times).toBeLessThanOrEqual(1 + world.redrives);
    }
  });
});
