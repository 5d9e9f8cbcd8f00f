/**
 * Golden histories: what the examples recorded once replays on the code of today. A stored history is never made anew to
 * please a test: runs like it may sleep in somebody's store. `EVENTSPINE_WRITE_HISTORIES=1` writes those that are missing.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AnyApp, defineApp, workflow, type Ctx } from 'eventspine';
import {
  type ExportedHistory,
  fake,
  inTurn,
  readExportedHistory,
  replayHistory,
  testSpine,
  type TestSpine,
  type TestSpineOptions,
} from 'eventspine/testing';
import { describe, expect, it } from 'vitest';
import { app as pipeline } from './document-pipeline/spine.ts';
import { calculation, embedText, extractText, searchIndex, writeIndex } from './document-pipeline/capabilities.ts';
import { app as graphApp } from './state-graph/spine.ts';
import { app as helloApp } from './hello/spine.ts';
import { app as lettersApp } from './inference/spine.ts';
import { app as reportsApp, wordStats } from './python-worker/spine.ts';
import { app as schedulesApp } from './schedules/spine.ts';
import { app as ordersApp, event as orderEvent } from './state-machine/spine.ts';
import { app as newsletterApp, draft } from './testing/spine.ts';

interface Scene<App extends AnyApp> {
  readonly file: string;
  readonly app: App;
  readonly options: () => TestSpineOptions;
  /** Starts a run, and lets it go as far as the history is to tell. */
  readonly play: (t: TestSpine<App>) => Promise<string>;
}

/** Lets each scene have the types of its own app. */
function scene<App extends AnyApp>(file: string, app: App, rest: Omit<Scene<App>, 'file' | 'app'>): Scene<AnyApp> {
  return { file, app, ...rest } as unknown as Scene<AnyApp>;
}

/** Examples without bodies have nothing to replay: a run of a graph goes on with the graph that it began with. */
const bodiless = new Set(['graph']);

const passage = { chunkId: 'd#1', document: 'd', title: 'Domes', heading: 'Rain', text: 'Domes leak.', score: 1 };

const scenes: readonly Scene<AnyApp>[] = [
  scene('hello/histories/finished.json', helloApp, {
    options: () => ({}),
    async play(t) {
      const run = await t.start('hello', { name: 'Ada' });
      await t.result(run);
      return run.id;
    },
  }),
  scene('hello/histories/asleep.json', helloApp, {
    options: () => ({}),
    play: async (t) => (await t.start('hello', { name: 'Ada' })).id,
  }),
  scene('inference/histories/answered.json', lettersApp, {
    options: () => ({}),
    async play(t) {
      const run = await t.start('letter', 'Where is my order A123?');
      await t.result(run);
      return run.id;
    },
  }),
  scene('python-worker/histories/report.json', reportsApp, {
    options: () => ({ handlers: [fake(wordStats, { words: 6, top: [['be', 2]], attempt: 1 })] }),
    async play(t) {
      const run = await t.start('report', { text: 'to be or not to be' });
      await t.result(run);
      return run.id;
    },
  }),
  scene('schedules/histories/report.json', schedulesApp, {
    options: () => ({}),
    async play(t) {
      const run = await t.start('report', { days: 1 });
      await t.result(run);
      return run.id;
    },
  }),
  scene('state-machine/histories/shipped.json', ordersApp, {
    options: () => ({}),
    async play(t) {
      const run = await t.start('order', { state: 'placed', context: { cents: 500, paid: 0, parcel: null } });
      await t.signal(run, orderEvent, { type: 'PAY', cents: 200 });
      await t.signal(run, orderEvent, { type: 'PAY', cents: 300 });
      await t.signal(run, orderEvent, { type: 'SHIP', parcel: 'p7' });
      await t.result(run);
      return run.id;
    },
  }),
  scene('state-graph/histories/asked.json', graphApp, {
    options: () => ({}),
    play: async (t) => (await t.start('research', { question: 'Do domes leak?' })).id,
  }),
  scene('testing/histories/objections.json', newsletterApp, {
    options: () => ({ handlers: [fake(draft, ({ subject }) => ({ title: subject, body: '...' }))] }),
    async play(t) {
      const run = await t.start('newsletter', { subjects: ['tea', 'rain'] });
      await t.advance('1d');
      return run.id;
    },
  }),
  scene('testing/histories/published.json', newsletterApp, {
    options: () => ({
      handlers: [fake(draft, { title: 'tea', body: '...' })],
      steps: { publish: () => 'https://press.example/1' },
    }),
    async play(t) {
      const run = await t.start('newsletter', { subjects: ['tea'] });
      await t.result(run);
      return run.id;
    },
  }),
  scene('document-pipeline/histories/ingest.json', pipeline, {
    options: () => ({
      handlers: [
        fake(extractText, { title: 'Domes', sections: [{ heading: 'Rain', text: 'Domes leak. Mirrors age.' }] }),
        fake(embedText, [1, 2, 3]),
        fake(writeIndex, ({ chunks }) => ({ chunks: chunks.length })),
      ],
    }),
    async play(t) {
      const document = { id: 'd', name: 'd.txt', kind: 'text', uri: 'file:///d.txt', sha256: '0'.repeat(64) } as const;
      const { runs } = await t.publish('document.uploaded', document);
      const [run] = runs;
      if (run === undefined) throw new Error('the event has started no run');
      await t.result(run);
      return run.id;
    },
  }),
  scene('document-pipeline/histories/answer.json', pipeline, {
    options: () => ({
      handlers: [
        fake(embedText, [1, 2, 3]),
        fake(searchIndex, [passage]),
        fake(calculation, ({ expression, unit }) => ({ expression, unit, value: 4 })),
      ],
      steps: {
        ask: inTurn({
          model: 'fake',
          text: '',
          toolCalls: [
            {
              id: 'c1',
              type: 'function',
              function: { name: 'calculate', arguments: '{"expression":"2+2","unit":"m"}' },
            },
          ],
        }),
        write: () => ({ model: 'fake', text: 'Domes leak [1].', toolCalls: [] }),
      },
    }),
    async play(t) {
      const { runs } = await t.publish('ai.analysis.requested', { question: 'Do domes leak?' });
      const [run] = runs;
      if (run === undefined) throw new Error('the event has started no run');
      await t.result(run);
      return run.id;
    },
  }),
];

const place = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

function stored(file: string): ExportedHistory {
  return readExportedHistory(JSON.parse(readFileSync(place(file), 'utf8')));
}

async function played({ app, options, play }: Scene<AnyApp>, crash?: 'every-await'): Promise<ExportedHistory> {
  await using t = await testSpine(app, { ...options(), ...(crash === undefined ? {} : { crash }) });
  return await t.exportHistory(await play(t));
}

/** The app of somebody who has renamed a step or call under live runs. */
function withRenamed(app: AnyApp): AnyApp {
  const workflows = app.workflows.map((one) =>
    workflow(one.name, {}, async (ctx, input) => one.body(renaming(ctx), input)),
  );
  return defineApp({ name: app.name, workflows, topics: app.topics, capabilities: app.capabilities });
}

function renaming(ctx: Ctx): Ctx {
  return new Proxy(ctx, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name, target);
      if (typeof found !== 'function') return found;
      if (name !== 'step') return (found as (...given: unknown[]) => unknown).bind(target);
      return (first: unknown, ...rest: unknown[]): unknown =>
        (found as (...given: unknown[]) => unknown).call(target, `${String(first)}-renamed`, ...rest);
    },
  });
}

if (process.env['EVENTSPINE_WRITE_HISTORIES'] === '1') {
  for (const one of scenes.filter(({ file }) => !existsSync(place(file)))) {
    mkdirSync(dirname(place(one.file)), { recursive: true });
    writeFileSync(place(one.file), `${JSON.stringify(await played(one), null, 2)}\n`);
  }
}

describe('golden histories', () => {
  it('are there for every example', () => {
    const folders = readdirSync(place('.'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const examples = folders.filter(({ name }) => existsSync(place(`${name}/spine.ts`))).map(({ name }) => name);
    const told = new Set(scenes.map(({ file }) => dirname(dirname(file))));
    // Each one is another scene above, and a run of this file with EVENTSPINE_WRITE_HISTORIES=1.
    expect(examples.filter((name) => !told.has(name) && !bodiless.has(name))).toEqual([]);
  });

  describe.each(scenes.map((one) => [one.file, one] as const))('%s', (file, one) => {
    it('replays on the code of today', async () => {
      expect(await replayHistory(one.app, stored(file))).toMatchObject({ verdict: 'same', changes: [] });
    });

    it('comes about again, and in the same way when the body dies at every await', async () => {
      const units = (history: ExportedHistory): string[] =>
        history.events
          .filter(({ type }) => /^(step|call|timer|race)\.|^event\.|^run\.(succeeded|failed|refused)/.test(type))
          .map(({ type, data }) => `${type} ${'path' in data ? String(data.path) : ''}`)
          .toSorted();
      expect(units(await played(one))).toEqual(units(stored(file)));
      expect(units(await played(one, 'every-await'))).toEqual(units(stored(file)));
    });
  });

  it('tell of a step that was renamed', async () => {
    for (const { app, file } of scenes) {
      const history = stored(file);
      // What is renamed is what the body itself asks for.
      const isOwnStep = (event: ExportedHistory['events'][number]): boolean =>
        event.type === 'step.completed' && !event.data.path.includes('/');
      if (!history.events.some(isOwnStep)) continue;
      const { verdict, changes } = await replayHistory(withRenamed(app), history);
      expect([basename(file), verdict === 'same']).toEqual([basename(file), false]);
      expect(changes.map(({ kind }) => kind)).toContain('renamed');
    }
  });
});
