/**
 * Programs as users would write them: an app of the real programming model whose workflows interpret programs through
 * `ctx`, and whose steps and handlers go to the simulated provider.
 */
import { optionsOf } from '../../core/admission/limit-options.js';
import {
  agent,
  capability,
  defineApp,
  limit,
  message,
  model,
  signal,
  subscription,
  topic,
  Transient,
  workflow,
  type AgentMessage,
  type AgentSelf,
  type AnyApp,
  type AnyWorkflow,
  type CompactRequest,
  type Ctx,
  type ModelCallNow,
  type Subscription,
  Terminal,
} from '../../workflow/index.js';
import { askedBy, askFor, runAi, type Asked } from './ai-program.js';
import { simGraph } from './graph-program.js';
import {
  builds,
  buriedTopic,
  limitedCapability,
  simAgent,
  simDeadlineMs,
  simLimits,
  simModelLimit,
  simRetry,
  simSubscriptions,
  subscribedWorkflow,
  type BuildName,
} from './manifest.js';
import {
  programCapabilities,
  programModel,
  programSignals,
  programWindows,
  type CallNode,
  type Program,
  type ChildNode,
  type InferNode,
  type ProgramNode,
  type RaceNode,
  type SagaNode,
  type StepNode,
  type WaitNode,
  sharedQuestion,
} from './program.js';
import { programFailure, retryOf } from './scripted-body.js';

/** Where an effect runs, as its code is told. */
export interface EffectSite {
  readonly kind: 'step' | 'call' | 'infer';
  /** Tenant, run and path; empty of a question that many ask alike. */
  readonly idempotencyKey: string;
  readonly attempt: number;
  /** Adds a chunk to the stream of the effect. */
  readonly write: (chunk: unknown) => Promise<void>;
  /** Of an inference: what the provider is given. */
  readonly providerKey?: string;
}

/** Performs an effect: resolves with tenant, run and path for which it was done, or rejects where the provider fails. Never settles where it takes its worker down. */
export type PerformEffect = (node: StepNode | CallNode | InferNode, site: EffectSite) => Promise<string>;

const retry = { attempts: simRetry.attempts, min: simRetry.minMs, max: simRetry.maxMs, factor: simRetry.factor };
const seen = topic('seen', { partitions: 3 });
const noted = topic('noted', { partitions: 2, key: 'n' });
const signals = programSignals.map((name) => signal(name));
const done = topic('done');
const buried = topic(buriedTopic);
const capabilities = programCapabilities.map((name) => capability(name, { deadline: simDeadlineMs, retry }));
const named = simLimits.map((spec) => limit(spec.name, optionsOf(spec)));
const limitedCapabilities = programCapabilities.map((name) =>
  capability(name, { deadline: simDeadlineMs, retry, limits: name === limitedCapability ? named : [] }),
);

const heard = topic('heard', { key: 'key' });
const add = message('add');

/** What it remembers, and tells of, is what it has handled: a checker compares the two with the log. */
const tally = agent(simAgent, {
  messages: [noted, add],
  initial: { seen: [] },
  continueAfter: 3,
  onError: 'park',
  on: { noted: takeNote, add: takeNote },
});

async function takeNote(self: AgentSelf, { id, type }: AgentMessage): Promise<void> {
  const { seen: before } = self.state as { readonly seen: readonly string[] };
  self.state = { seen: [...before, id] };
  await self.emit(heard, { key: self.key, id });
  if (self.key === 'relay') return;
  if (before.length % 3 === 1) await self.sleep('nap', 40);
  await self.tell(simAgent, 'relay', add, null);
  if (type === 'add' && before.length % 4 === 2) await self.ask(simAgent, 'relay', add, null, { timeout: '1h' });
}

/** What the shadow of the model does, and what is wrong with it. */
export interface ShadowStage {
  /** A call of its endpoint begins, for the inference at `at`: `tenant/run/path`. Rejects where it fails. */
  readonly perform: (node: InferNode, at: string, key: string) => Promise<void>;
  readonly flaw: ShadowFlaw | null;
}

/** A planted bug: its answer is given to the run, or the run asks it itself, as often as its body is run. */
export type ShadowFlaw = 'answers' | 'in a replay';

/** Bounds of the shadow in a simulated world. */
export const simShadow = { version: 'shadow', share: 0.6, concurrency: 2, perDay: 0.0022 } as const;

/** The app of one worker, in one of its builds. Its versions differ by their names only: every run may migrate. */
export function programApp(
  perform: PerformEffect,
  build: BuildName = 'plain',
  withAgents = false,
  limited = false,
  patience = 0,
  shadow: ShadowStage | null = null,
  hasSubscriptions = false,
): AnyApp {
  const options = { deadline: simDeadlineMs, retry };
  const inVersion = (version: string | null, previous: readonly AnyWorkflow[]): AnyWorkflow => {
    const program: AnyWorkflow = workflow(
      'program',
      { ...options, completes: done, ...(version === null ? {} : { version, previous }) },
      (ctx, input) => runProgram(ctx, input as Program, { perform, patience, program, shadow }),
    );
    return program;
  };
  const [current, ...earlier] = builds[build];
  const program = inVersion(
    current,
    earlier.map((version) => inVersion(version, [])),
  );
  const deliver: AnyWorkflow = workflow(subscribedWorkflow, options, (ctx, data) =>
    runProgram(ctx, (data as { readonly program: Program }).program, { perform, patience, program, shadow }),
  );
  const { small, large } = programWindows;
  const said = shadow?.flaw === 'answers' ? shadowAnswer : (answer: string): string => answer;
  const endpoint = { ...oracle(perform, false, said), window: small };
  return defineApp({
    name: 'simulated',
    limits: limited ? [limit(simModelLimit.name, optionsOf(simModelLimit))] : [],
    models: [
      model(programModel, {
        policy: 'retry',
        versions: {
          v1: { ...endpoint, weight: 1 },
          v2: { ...endpoint, weight: 1 },
          large: { ...oracle(perform, true, said), weight: 0, window: large },
          ...(shadow === null ? {} : { [simShadow.version]: { ...beside(shadow), endpoint: 'beside', weight: 0 } }),
        },
        ...(shadow === null ? {} : { shadow: simShadow }),
      }),
    ],
    topics: withAgents ? [seen, noted, done, heard] : [seen, noted, done],
    agents: withAgents ? [tally] : [],
    workflows: [
      program,
      workflow('watch', { ...options, on: seen }, (ctx, data) =>
        runProgram(ctx, (data as { readonly program: Program }).program, { perform, patience, program, shadow }),
      ),
      { ...workflow('graph', options, () => undefined), graph: simGraph },
      ...(hasSubscriptions ? [deliver] : []),
    ],
    ...(hasSubscriptions ? { subscriptions: subscriptionsOf(deliver) } : {}),
    handlers: (limited ? limitedCapabilities : capabilities).map((one) =>
      one.implement(async (input, context) => {
        const { idempotencyKey, attempt } = context;
        const write = (chunk: unknown): Promise<void> => context.stream().write(chunk);
        await perform(input as CallNode, { kind: 'call', idempotencyKey, attempt, write });
        return idempotencyKey;
      }),
    ),
  });
}

/** The subscriptions of the worlds that have them, in code. */
function subscriptionsOf(start: AnyWorkflow): Subscription[] {
  const topics = [seen, noted];
  return simSubscriptions.map(({ name, topic: of, filter, from, order, windowMax }) =>
    subscription(name, {
      topic: topics.find((one) => one.name === of) ?? seen,
      start,
      dead: buried,
      from: from === 'newest' ? 'newest' : 'oldest',
      order,
      window: windowMax,
      ...(filter === null ? {} : { filter }),
    }),
  );
}

/** What a shadow says, and no run may ever have. */
export function shadowAnswer(at: string): string {
  return `beside ${at}`;
}

/** Where an inference is asked that was asked in vain at `at`. */
function again(at: string): string {
  return `${at}/again:1`;
}

/** Without what is of no use. */
function withoutPad({ messages }: CompactRequest): CompactRequest {
  const [part] = (messages[0]?.content ?? []) as readonly { readonly text: string }[];
  const { at, node } = askedBy(part?.text ?? '');
  return { messages: [{ role: 'user', content: askFor(again(at), node) }] };
}

/** A provider of a model, to which the prompt says for which run and path it is asked. */
function oracle(perform: PerformEffect, isLarge: boolean, said: (answer: string) => string) {
  return speaker(async (asked, providerKey) => {
    const { node, pad } = asked;
    const at = isLarge ? again(asked.at) : asked.at;
    const write = (): Promise<void> => Promise.resolve();
    const answer = await perform(node, { kind: 'infer', idempotencyKey: at, attempt: 0, write, providerKey });
    if (node.mend !== undefined && !isLarge && pad !== undefined) throw new Terminal('context_length_exceeded');
    return said(answer);
  });
}

/** The provider of the shadow. */
function beside({ perform }: ShadowStage) {
  return speaker(async ({ at, node }, key) => {
    await perform(node, at, key);
    return shadowAnswer(at);
  });
}

/** Answers with what `answer` makes of a prompt and the idempotency key, whole or in parts, and calls the tools that are wanted. */
function speaker(answer: (asked: Asked, key: string) => Promise<string>) {
  const ask = async (call: ModelCallNow): Promise<{ readonly text: string; readonly calls: readonly object[] }> => {
    const [part] = (call.prompt[0]?.content ?? []) as readonly { readonly text: string }[];
    const asked = askedBy(part?.text ?? '');
    const text = await answer(asked, call.headers?.['idempotency-key'] ?? '');
    const calls = asked.calls.map(({ id, name }) => ({
      type: 'tool-call',
      toolCallId: id,
      toolName: name,
      input: '{}',
    }));
    return { text, calls };
  };
  const end = { finishReason: 'stop', usage: { inputTokens: 3, outputTokens: 2 } };
  return {
    use: {
      specificationVersion: 'v3',
      provider: 'oracle',
      modelId: 'm',
      supportsIdempotencyKeys: true,
      doGenerate: async (call: ModelCallNow) => {
        const { text, calls } = await ask(call);
        return { content: [{ type: 'text', text }, ...calls], ...end };
      },
      doStream: async (call: ModelCallNow) => {
        const said = ask(call);
        const parts = async function* () {
          const { text, calls } = await said;
          yield { type: 'text-delta', id: '0', delta: text.slice(0, 3) };
          yield { type: 'text-delta', id: '0', delta: text.slice(3) };
          yield* calls;
          yield { type: 'finish', ...end };
        };
        return await Promise.resolve({ stream: parts() });
      },
    },
    price: { input: 1, output: 1 },
  };
}

/** What a failing provider throws. */
export function providerError(): Error {
  return new Transient(programFailure.message, { code: programFailure.code, class: programFailure.class });
}

/** What a model throws in a storm. */
export function stormError(kind: 'down' | 'told', leftMs: number): Error {
  const [text, failed] =
    kind === 'down' ? ['No capacity.', 'overloaded' as const] : ['Slower.', 'rate_limited' as const];
  const headers = kind === 'told' ? { 'retry-after-ms': String(leftMs) } : {};
  return Object.assign(new Transient(text, { code: 'STORM', class: failed }), { headers });
}

/** What the nodes of a program work with. */
interface Means {
  readonly perform: PerformEffect;
  /** Attempts of an inference beyond those that its node has, for the weather. */
  readonly patience: number;
  /** What child runs are runs of. */
  readonly program: AnyWorkflow;
  readonly shadow: ShadowStage | null;
}

async function runProgram(ctx: Ctx, program: Program, means: Means): Promise<number> {
  for (const node of program.nodes) {
    try {
      await runNode(ctx, node, means);
    } catch (error) {
      if (program.strict || ctx.signal.aborted) throw error;
    }
  }
  if (program.end === 'continue') return ctx.continueAsNew(program.next);
  if (program.end === 'refuse') throw new Terminal('NOT_WANTED');
  if (program.end === 'fail') throw programError();
  return program.nodes.length;
}

function programError(): Error {
  return Object.assign(new Error('The program ends in failure.'), { code: 'PROGRAM_FAILED', retryable: false });
}

async function runNode(ctx: Ctx, node: ProgramNode, means: Means): Promise<void> {
  switch (node.op) {
    case 'step':
    case 'call':
    case 'sleep':
    case 'wait':
    case 'child':
      return runLeaf(ctx, node, node.name, means);
    case 'infer':
      return runInference(ctx, node, means);
    case 'ai':
      return runAi(ctx, node, means.perform);
    case 'saga':
      return runSaga(ctx, node, means);
    case 'map': {
      const { concurrency } = node;
      const options = { key: (_: unknown, i: number) => i, concurrency };
      const run = (item: RaceNode, inner: Ctx): Promise<void> => runLeaf(inner, item, 'do', means);
      if (node.settle) await ctx.map(node.name, node.items, { ...options, onError: 'settle' }, run);
      else await ctx.map(node.name, node.items, options, run);
      return;
    }
    case 'emit':
      return ctx.emit(node.topic === 'seen' ? seen : noted, { n: node.n, program: watchedProgram }, { as: node.name });
    case 'progress':
      return ctx.progress(node.name);
    case 'race':
      await ctx.race(
        node.name,
        Object.fromEntries(
          node.branches.map((branch, i) => [`b${i}`, (inner: Ctx) => runLeaf(inner, branch, 'do', means)]),
        ),
      );
      return;
  }
}

const watchedProgram: Program = {
  nodes: [{ op: 'step', name: 'look', ms: 20, fails: 0, kills: 0, attempts: 3, chunks: 0, external: false }],
  end: 'succeed',
  strict: true,
};

async function runSaga(ctx: Ctx, { name, items, fails }: SagaNode, means: Means): Promise<void> {
  await ctx.saga(name, async (inner, undo) => {
    for (const [i, item] of items.entries()) {
      const say = (): void => undo(`u${i}`, (cleaning) => runLeaf(cleaning, item.undo, 'do', means));
      if (item.early) say();
      await runLeaf(inner, item.act, `s${i}`, means);
      if (!item.early) say();
    }
    if (fails) throw programError();
  });
}

async function runChild(ctx: Ctx, { program, mode }: ChildNode, name: string, means: Means): Promise<void> {
  if (mode === 'await') return void (await ctx.child(means.program, program, { as: name }));
  const child = await ctx.start(means.program, program, { as: name, detached: mode === 'detach' });
  if (mode !== 'stop') return;
  child.cancel('no longer wanted');
  await child.result();
}

async function runLeaf(ctx: Ctx, node: RaceNode, name: string, means: Means): Promise<void> {
  if (node.op === 'child') return runChild(ctx, node, name, means);
  if (node.op === 'sleep') return ctx.sleep(name, node.ms);
  if (node.op === 'wait') return runWait(ctx, node, name);
  const { attempts, minMs, maxMs, factor } = retryOf(node.attempts);
  const policy = { attempts, min: minMs, max: maxMs, factor };
  if (node.op === 'call') {
    const found = capabilities.find((one) => one.name === node.capability);
    if (found === undefined) throw new Error(`Invariant broken: there is no capability ${node.capability}`);
    await ctx.call(found, node, { as: name, retry: policy });
    return;
  }
  await ctx.step(
    name,
    async (step) => {
      const { idempotencyKey, attempt } = step;
      const write = (chunk: unknown): Promise<void> => step.stream().write(chunk);
      await means.perform(node, { kind: 'step', idempotencyKey, attempt, write });
      return idempotencyKey;
    },
    { retry: policy, ...(node.external ? { effect: 'external' as const } : {}) },
  );
}

async function runInference(ctx: Ctx, node: InferNode, { patience, shadow }: Means): Promise<void> {
  const { attempts, minMs, maxMs, factor } = retryOf(node.attempts);
  const { shared } = node;
  const at = `${ctx.run.tenant}/${ctx.run.id}/${node.name}`;
  const asked = shared === undefined ? { at, node } : { at: '', node: sharedQuestion(shared) };
  const pad = asked.node.mend === undefined ? undefined : 'x'.repeat(400);
  const { text } = await ctx.infer(node.name, {
    model: programModel,
    prompt: askFor(asked.at, asked.node, [], pad),
    ...(node.mend === 'compact' ? { compact: withoutPad, remedies: { context_length_exceeded: 'compact' } } : {}),
    policy: node.policy,
    stream: node.streamed,
    retry: { attempts: attempts + patience, min: minMs, max: maxMs, factor },
    ...(shared === undefined ? {} : { cache: { ttl: shared.ttlMs } }),
  });
  if (shadow?.flaw === 'in a replay') shadow.perform(node, at, '').catch(() => undefined);
  // Whose answer it may be is for a checker to say.
  if (shared !== undefined) return;
  if (text !== (node.mend === undefined ? at : again(at)))
    throw new Error(`Invariant broken: ${at} was answered with ${text}`);
}

async function runWait(ctx: Ctx, node: WaitNode, name: string): Promise<void> {
  const options = { as: name, timeout: node.ms };
  const found = signals.find((one) => one.name === node.signal);
  if (found === undefined) await ctx.waitFor(noted, { ...options, match: { n: node.n } });
  else await ctx.waitFor(found, options);
}
