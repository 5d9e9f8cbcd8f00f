/**
 * The schemas of the worker protocol against what is really said: by a worker of ours over a WebSocket, by plain requests, and
 * to an endpoint; and against the reader of messages, which must let in nothing that the schemas do not.
 */
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { payloadOfJson } from '../core/codec.js';
import type { Engine, Origin } from '../engine/api.js';
import { createEngine } from '../engine/index.js';
import type { PushRequest } from '../protocol/push.js';
import type { ServerMessage, WorkerMessage } from '../protocol/worker.js';
import { workerProtocolSchema } from '../protocol/worker-schemas.js';
import { nodePorts } from '../runtime/index.js';
import { createMemoryStore } from '../store/memory.js';
import { createInProcessTransport, createWorker, type WorkerTransport } from '../worker/index.js';
import { cached, capability, defineApp, model, prompt, rule, topic, workflow } from '../workflow/index.js';
import { readWorkerMessage } from './transports/worker-message.js';

const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema(workerProtocolSchema);

/** What is wrong with a value by a schema of the document; empty = nothing. */
function faults(name: keyof typeof workerProtocolSchema.$defs, value: unknown): string[] {
  const check = ajv.getSchema(`${workerProtocolSchema.$id}#/$defs/${name}`);
  if (check === undefined) throw new Error(`there is no schema ${name}`);
  // What undefined stands for is not there once it is sent.
  if (check(JSON.parse(JSON.stringify(value))) === true) return [];
  return (check.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`);
}

const said: { readonly from: 'WorkerMessage' | 'ServerMessage'; readonly message: WorkerMessage | ServerMessage }[] =
  [];

function listeningTo(transport: WorkerTransport): WorkerTransport {
  return {
    ...transport,
    open: (onMessage, onClose) => {
      const connection = transport.open((message) => {
        said.push({ from: 'ServerMessage', message });
        onMessage(message);
      }, onClose);
      return {
        ...connection,
        send: (message) => {
          said.push({ from: 'WorkerMessage', message });
          connection.send(message);
        },
      };
    },
  };
}

const origin: Origin = { tenant: 'acme', actor: 'test', traceparent: null, correlation: null };
const heard = topic('heard');
const work = capability('work', { retry: { attempts: 2, min: 1, max: 1 } });
const shut = (): Promise<never> => Promise.reject(new Error('shut'));
const use = { specificationVersion: 'v3', provider: 'p', modelId: 'm', doGenerate: shut, doStream: shut };
const writer = model('writer', { versions: { v1: { use } } });
const greeting = prompt('greeting', { versions: { v1: () => 'hello' } });
const app = defineApp({
  name: 'talkative',
  models: [writer],
  prompts: [greeting],
  topics: [heard],
  handlers: [
    work.implement((input, { attempt }) => {
      if (attempt === 1) throw new Error('again');
      return input;
    }),
  ],
  workflows: [
    workflow('everything', {}, async (ctx) => {
      await ctx.step('external', () => 1, { effect: 'external' });
      await ctx.step('with-input', { a: 1 }, () => 'x'.repeat(40_000));
      ctx.progress({ at: 1 });
      await ctx.race('race', { call: (branch) => branch.call(work, [1]), slow: (branch) => branch.sleep('1h') });
      await ctx.emit(heard, { b: 2 });
      await ctx.sleep('30ms');
      await ctx.infer('asked', {
        model: writer,
        prompt: greeting.with(),
        stream: true,
        cache: { ttl: '1h' },
        retry: { attempts: 1 },
        fallback: [cached({ maxAge: '1h' }), rule('said', () => 'by rule')],
      });
      await ctx
        .step('fails', () => Promise.reject(new Error('no')), { retry: { attempts: 2, min: 1, max: 1 } })
        .catch(() => null);
      return 'done';
    }),
    workflow('endless', {}, async (ctx) => ctx.sleep('1h')),
    workflow('broken', {}, () => Promise.reject(new Error('broken'))),
  ],
});

let engine: Engine;

async function talk(): Promise<void> {
  engine = createEngine({ store: createMemoryStore({ clock: nodePorts.clock }), ports: nodePorts });
  await engine.start();
  const transport = listeningTo(createInProcessTransport(engine));
  const worker = createWorker({ app, connect: transport, parkAfterMs: 5 });
  await worker.start();
  const started = await engine.startRuns(
    origin,
    ['everything', 'endless', 'broken'].map((name) => ({ workflow: name, input: payloadOfJson(null) })),
  );
  const runs = started.flatMap((each) => (each.tag === 'started' ? [each.run] : []));
  const [everything = '', endless = '', broken = ''] = runs;
  await engine.waitForEnd('acme', everything, 10_000);
  expect(await engine.readResult('acme', everything)).toMatchObject({ state: 'succeeded' });
  await engine.waitForEnd('acme', broken, 10_000);
  await engine.cancel(origin, endless);
  await engine.waitForEnd('acme', endless, 10_000);
  await worker.drain();
}

afterAll(() => engine.stop());

describe('what workers and servers say', () => {
  it('is what the schemas say', async () => {
    await talk();
    const kinds = new Set(said.map(({ message }) => message.t));
    expect([...kinds].sort()).toEqual(
      expect.arrayContaining([
        'assign',
        'beat',
        'bye',
        'credit',
        'deliver',
        'drain',
        'goodbye',
        'hello',
        'results',
        'submit',
        'welcome',
      ]),
    );
    for (const { from, message } of said) expect(faults(from, message), JSON.stringify(message)).toEqual([]);
  });

  it('is refused by the schemas where a part of it is missing or another', () => {
    const mutants = said
      .filter(({ from }) => from === 'WorkerMessage')
      .flatMap(({ message }) => Object.keys(message).map((name) => ({ ...message, [name]: Number.NaN })));
    expect(mutants.length).toBeGreaterThan(20);
    for (const mutant of mutants) expect(faults('WorkerMessage', mutant), JSON.stringify(mutant)).not.toEqual([]);
  });

  it('is let in by the server only where the schemas let it in', () => {
    // Parts of true messages put where they do not belong.
    const whole = said.filter(({ from }) => from === 'WorkerMessage').map(({ message }) => message);
    const parts: unknown[] = [null, -1, 1.5, 'text', true, [], {}, Number.MAX_SAFE_INTEGER + 1, 'y'.repeat(600)];
    fc.assert(
      fc.property(fc.constantFrom(...whole), fc.constantFrom(...parts), fc.nat(), (message, part, at) => {
        const bent = JSON.parse(JSON.stringify(message)) as Record<string, unknown>;
        const places = placesIn(bent);
        const place = places[at % places.length];
        if (place !== undefined) place.owner[place.name] = part;
        const text = JSON.stringify(bent);
        const read = readWorkerMessage(Buffer.from(text));
        const isIn = read.ok && read.refused.length === 0;
        const found = faults('WorkerMessage', JSON.parse(text));
        // The manifest of a hello is looked at by the catalogue, when the message is in.
        if (isIn && bent['t'] !== 'hello') expect(found, text.slice(0, 500)).toEqual([]);
        if (found.length === 0) expect(read, text.slice(0, 500)).toMatchObject({ ok: true, refused: [] });
      }),
      { numRuns: 2_000 },
    );
  });

  it('to an endpoint is what the schemas say', () => {
    const assignments = said.flatMap(({ message }) => (message.t === 'assign' ? message.items : []));
    for (const item of assignments) {
      const { assignment: _number, input, ...task } = item;
      if (!('text' in input)) continue;
      const request = {
        ...task,
        protocol: 1,
        timeoutMs: 1_000,
        input,
        ...(item.kind === 'activation' ? { begun: [] } : {}),
      } as PushRequest;
      expect(faults('PushRequest', request)).toEqual([]);
    }
  });
});

interface Place {
  readonly owner: Record<string, unknown>;
  readonly name: string;
}

function placesIn(value: unknown): Place[] {
  if (typeof value !== 'object' || value === null) return [];
  const owner = value as Record<string, unknown>;
  return Object.keys(owner).flatMap((name) => [{ owner, name }, ...placesIn(owner[name])]);
}
