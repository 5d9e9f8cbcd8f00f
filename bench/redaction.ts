/**
 * What redaction costs: requests of one client over `fetch` of a server in this process, for a history of 100 events, a result
 * and a page of events of a topic, from an app without tags, from one with tags to somebody who has the clearance, and to
 * somebody who has not. Ratios to the same requests of a server that hides nothing from anybody.
 *
 *   npm run bench -- redaction [requests=3000] [rounds=5]
 */
import { z } from 'zod';
import { createEngine } from '../src/engine/index.js';
import { nodePorts } from '../src/runtime/index.js';
import { createServer, type SpineServer } from '../src/server/index.js';
import { createMemoryStore } from '../src/store/index.js';
import { createInProcessTransport, createWorker } from '../src/worker/index.js';
import { defineApp, tagged, topic, workflow } from '../src/workflow/index.js';
import { payloadOfJson } from '../src/core/codec.js';
import { report } from './support/figures.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const requests = Number(options.get('requests') ?? 3_000);
const rounds = Number(options.get('rounds') ?? 5);
const origin = { tenant: 'default', actor: 'bench', traceparent: null, correlation: null };
/** Warm-up before a measurement, requests. */
const warmUp = 300;

interface Subject {
  readonly name: string;
  readonly clearances: readonly string[];
  readonly isTagged: boolean;
}

const subjects: readonly Subject[] = [
  { name: 'hides nothing', clearances: ['*'], isTagged: false },
  { name: 'no tags', clearances: [], isTagged: false },
  { name: 'tags, cleared', clearances: ['pii'], isTagged: true },
  { name: 'tags, not cleared', clearances: [], isTagged: true },
];

const figures: Record<string, Record<string, number>> = {};
const places: { readonly subject: Subject; readonly place: Place }[] = [];
for (const subject of subjects) places.push({ subject, place: await openPlace(subject) });
try {
  const paths = { history: 'history', result: 'result', topic: 'topic' } as const;
  for (const kind of Object.keys(paths) as (keyof typeof paths)[]) {
    const best = new Map<string, number>();
    // In turn, so that what else the machine does meets all of them.
    for (let round = 0; round < rounds; round++) {
      for (const { subject, place } of places) {
        const us = await timeOf(place, kind);
        best.set(subject.name, Math.min(us, best.get(subject.name) ?? Number.POSITIVE_INFINITY));
      }
    }
    const base = best.get('hides nothing') ?? 0;
    figures[kind] = Object.fromEntries(
      [...best].flatMap(([name, us]) => [
        [`${name}, us`, Math.round(us * 10) / 10],
        [`${name}, ratio`, Math.round((us / base) * 1_000) / 1_000],
      ]),
    );
    console.log(JSON.stringify({ [kind]: figures[kind] }));
  }
  report('redaction', { requests, rounds, bestOf: figures });
} finally {
  for (const { place } of places) await place.close();
}

interface Place {
  readonly paths: Readonly<Record<'history' | 'result' | 'topic', string>>;
  readonly server: SpineServer;
  close(): Promise<void>;
}

/** A server with a run of 100 events and a topic with 50, each of some twenty fields. */
async function openPlace({ clearances, isTagged }: Subject): Promise<Place> {
  const email = isTagged ? tagged(z.string(), 'pii') : z.string();
  const Person = z.object({ id: z.string(), email, lines: z.array(z.object({ sku: z.string(), count: z.number() })) });
  const people = topic('people', { schema: Person });
  const done = topic('done', { schema: Person });
  const big = workflow('big', { input: Person, completes: done }, async (ctx, input) => {
    for (let i = 0; i < 48; i++) await ctx.step(`step-${i}`, () => ({ i, input }));
    return input;
  });
  const app = defineApp({ name: 'bench', workflows: [big], topics: [people, done] });
  const engine = createEngine({
    store: createMemoryStore({ clock: nodePorts.clock }),
    ports: nodePorts,
    version: 'bench',
  });
  await engine.start();
  const worker = createWorker({ app, connect: createInProcessTransport(engine), ports: nodePorts });
  await worker.start();
  const lines = Array.from({ length: 9 }, (_, i) => ({ sku: `sku-${i}`, count: i }));
  const person = { id: 'p', email: 'jane@example.com', lines };
  const [outcome] = await engine.startRuns(origin, [{ workflow: 'big', input: payloadOfJson(person) }]);
  if (outcome?.tag !== 'started') throw new Error('The run was not started');
  await engine.waitForEnd('default', outcome.run, 30_000);
  for (let i = 0; i < 50; i++) {
    const event = { topic: 'people', id: `e${i}`, source: 'bench', type: 'people', data: payloadOfJson(person) };
    await engine.publish(origin, [event]);
  }
  const server = createServer({
    engine,
    audit: false,
    authorize: () => ({ tenant: 'default', user: 'bench', roles: ['operator'], clearances }),
  });
  const self = `/v1/runs/${outcome.run}`;
  return {
    server,
    paths: {
      history: `${self}/history?limit=100`,
      result: `${self}/result`,
      topic: '/v1/topics/people/events?limit=50',
    },
    async close() {
      await server.close();
      await worker.stop();
      await engine.stop();
    },
  };
}

/** Of one request, us. */
async function timeOf({ server, paths }: Place, kind: keyof Place['paths']): Promise<number> {
  const ask = async (): Promise<void> => {
    const response = await server.fetch(new Request(`http://localhost${paths[kind]}`));
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${response.status}: ${text}`);
  };
  const count = kind === 'result' ? requests : Math.ceil(requests / 10);
  for (let i = 0; i < Math.min(warmUp, count); i++) await ask();
  const startedMs = performance.now();
  for (let i = 0; i < count; i++) await ask();
  return ((performance.now() - startedMs) * 1_000) / count;
}
