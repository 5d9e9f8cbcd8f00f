/**
 * Runs of all examples and templates under the test kit, each played by a few lines: what their golden histories are made
 * of, and what must come about in the same way when bodies die at every await.
 */
import type { AnyApp, StepContext } from 'eventspine';
import { fake, inTurn, type TestRun, type TestSpine, type TestSpineOptions } from 'eventspine/testing';
import { app as chatApp } from '../templates/migrate-a-route/src/spine.ts';
import { app as readLaterApp } from '../templates/minimal/src/spine.ts';
import { app as answersApp } from '../templates/rag-with-approval/src/spine.ts';
import { app as build1 } from './deploying/build-1.ts';
import { app as build2 } from './deploying/build-2.ts';
import { app as build3 } from './deploying/build-3.ts';
import { app as build4 } from './deploying/build-4.ts';
import { app as pipeline } from './document-pipeline/spine.ts';
import { calculation, embedText, extractText, searchIndex, writeIndex } from './document-pipeline/capabilities.ts';
import { app as drawnApp } from './graph/spine.ts';
import { app as graphApp } from './state-graph/spine.ts';
import { app as helloApp } from './hello/spine.ts';
import { app as lettersApp } from './inference/spine.ts';
import { app as museumApp } from './answers-kept/spine.ts';
import { app as albumApp } from './limits/spine.ts';
import { app as reportsApp, wordStats } from './python-worker/spine.ts';
import { app as schedulesApp } from './schedules/spine.ts';
import { app as digestsApp } from './serverless/function.ts';
import { app as ordersApp, event as orderEvent } from './state-machine/spine.ts';
import { app as deskApp } from './support-desk/spine.ts';
import { app as newsApp, news } from './news-watch/spine.ts';
import { app as newsletterApp, draft } from './testing/spine.ts';
import { app as tripApp, book, paid, unbook } from './trip/spine.ts';

/** A run of an example or a template, and how it came about. */
export interface Scene<App extends AnyApp> {
  /** Where its history is. */
  readonly file: string;
  readonly app: App;
  readonly options: () => TestSpineOptions;
  /** Starts a run, and lets it go as far as the history is to tell. */
  readonly play: (t: TestSpine<App>) => Promise<string>;
  /** A graph has no body that could die: servers run it by themselves. Default false. */
  readonly isGraph?: boolean;
}

/** Lets each scene have the types of its own app. */
function scene<App extends AnyApp>(file: string, app: App, rest: Omit<Scene<App>, 'file' | 'app'>): Scene<AnyApp> {
  return { file, app, ...rest } as unknown as Scene<AnyApp>;
}

const passage = { chunkId: 'd#1', document: 'd', title: 'Domes', heading: 'Rain', text: 'Domes leak.', score: 1 };

/** At least one for each workflow. */
export const scenes: readonly Scene<AnyApp>[] = [
  scene('hello/histories/finished.json', helloApp, {
    options: () => ({}),
    async play(t) {
      const run = await t.start('hello', { name: 'Ada' });
      await t.result(run);
      return run.id;
    },
  }),
  scene('inference/histories/answered.json', lettersApp, {
    options: () => ({}),
    async play(t) {
      const run = await t.start('letter', 'Where is my order A123?');
      await t.result(run);
      return run.id;
    },
  }),
  scene('answers-kept/histories/asked-again.json', museumApp, {
    options: () => ({}),
    async play(t) {
      // Of two runs that ask by the same wording, the second is answered by what the first has paid for.
      for (let visitor = 1; visitor <= 5; visitor++) {
        const run = await t.start('ask', 'When do you open?');
        const { isOld } = (await t.result(run)) as { readonly isOld: boolean };
        if (isOld) return run.id;
      }
      throw new Error('Invariant broken: of five runs no two ask by the same of two versions');
    },
  }),
  scene('limits/histories/album.json', albumApp, {
    options: () => ({}),
    async play(t) {
      const run = await t.start('album', ['a lake', 'a hill', 'a lake at night']);
      await t.result(run);
      return run.id;
    },
  }),
  scene('hello/histories/asleep.json', helloApp, {
    options: () => ({}),
    play: async (t) => (await t.start('hello', { name: 'Ada' })).id,
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
  scene('schedules/histories/pull.json', schedulesApp, {
    options: () => ({}),
    async play(t) {
      const run = await t.start('pull', null);
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
  ...(['paid', 'late'] as const).map((end) =>
    scene(`trip/histories/${end}.json`, tripApp, {
      options: () => ({ handlers: [fake(book, ({ id }) => ({ booking: id })), fake(unbook, null)] }),
      async play(t) {
        const run = await t.start('trip', { trip: 't1', to: 'Porto', excursions: ['boat', 'museum'] });
        if (end === 'paid') await t.signal(run, paid, { cents: 100 });
        await t.outcome(run);
        return run.id;
      },
    }),
  ),
  ...(['watching', 'continued'] as const).map((end) =>
    scene(`news-watch/histories/${end}.json`, newsApp, {
      options: () => ({
        handlers: [fake(news, ({ after }) => (after === null ? [{ id: 'n1', text: 'Domes leak' }] : []))],
      }),
      async play(t) {
        const run = await t.start('watch', { reader: 'ann', subject: 'domes' });
        await t.advance(end === 'watching' ? '90m' : '24h');
        return run.id;
      },
    }),
  ),
  scene('support-desk/histories/desk.json', deskApp, {
    options: () => ({}),
    async play(t) {
      const ann = t.agent('desk', 'ann');
      await ann.ask('said', { product: 'kettle', text: 'How do I remove lime?' });
      return (await ann.status()).run;
    },
  }),
  scene('trip/histories/booking.json', tripApp, {
    options: () => ({ handlers: [fake(book, ({ id }) => ({ booking: id }))] }),
    async play(t) {
      const run = await t.start('booking', { what: 'boat', trip: 't1' });
      await t.result(run);
      return run.id;
    },
  }),
  scene('news-watch/histories/told.json', newsApp, {
    options: () => ({}),
    async play(t) {
      const run = await t.start('tell', { reader: 'ann', article: { id: 'n1', text: 'Domes leak when it rains' } });
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
      return (await ended(t, runs)).id;
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
      return (await ended(t, runs)).id;
    },
  }),
  scene('graph/histories/ingest.json', drawnApp, {
    options: () => ({}),
    isGraph: true,
    async play(t) {
      const { runs } = await t.publish('document.uploaded', { id: 'd1', text: 'Mirrors age. Domes leak.' });
      return (await ended(t, runs)).id;
    },
  }),
  scene('serverless/histories/digest.json', digestsApp, {
    options: () => ({}),
    async play(t) {
      const run = await t.start('digest', ['One thing. And more.', 'Another. And so on.']);
      await t.result(run);
      return run.id;
    },
  }),
  scene('deploying/histories/pending-in-build-1.json', build1, {
    options: () => ({}),
    play: async (t) => (await t.start('article', { topic: 'bees' })).id,
  }),
  scene('deploying/histories/build-2.json', build2, { options: () => ({}), play: article }),
  scene('deploying/histories/build-3.json', build3, { options: () => ({}), play: article }),
  scene('deploying/histories/build-4.json', build4, { options: () => ({}), play: article }),
  scene('../test/histories/read-later.json', readLaterApp, {
    options: () => ({ steps: { title: () => 'Domes leak' } }),
    async play(t) {
      const run = await t.start('read-later', { url: 'https://example.org/', remindAfterDays: 7 });
      await t.result(run);
      return run.id;
    },
  }),
  scene('../test/histories/chat.json', chatApp, {
    options: () => ({ steps: { reply: inParts } }),
    async play(t) {
      const run = await t.start('chat', { prompt: 'Do domes leak?' });
      await t.result(run);
      return run.id;
    },
  }),
  scene('../test/histories/answer-published.json', answersApp, {
    options: () => ({ steps: { publish: () => 'published/1.md' } }),
    async play(t) {
      const run = await t.start('answer', { question: 'When do domes leak?' });
      await t.approve(run, { form: { text: 'When the seal is old.' }, as: 'eve', roles: ['editor'] });
      await t.result(run);
      return run.id;
    },
  }),
  scene('../test/histories/answer-pending.json', answersApp, {
    options: () => ({}),
    async play(t) {
      const run = await t.start('answer', { question: 'When do domes leak?' });
      await t.advance('30h');
      return run.id;
    },
  }),
  scene('../test/histories/answer-expired.json', answersApp, {
    options: () => ({}),
    async play(t) {
      const run = await t.start('answer', { question: 'When do domes leak?' });
      await t.result(run);
      return run.id;
    },
  }),
  scene('../test/histories/tell-editors.json', answersApp, {
    options: () => ({}),
    async play(t) {
      await t.start('answer', { question: 'When do domes leak?' });
      const [run] = await t.runs({ workflow: 'tell-editors' });
      if (run === undefined) throw new Error('nobody was told');
      await t.result(run.id);
      return run.id;
    },
  }),
];

/** The stand-in of the template speaks at the pace of a model. */
async function inParts(_input: unknown, step: StepContext): Promise<string> {
  const parts = ['They ', 'do.'];
  for (const part of parts) await step.stream().write(part);
  return parts.join('');
}

async function article(t: TestSpine<typeof build4>): Promise<string> {
  const run = await t.start('article', { topic: 'bees' });
  await t.result(run);
  return run.id;
}

async function ended(t: Pick<TestSpine<AnyApp>, 'result'>, [run]: readonly TestRun[]): Promise<TestRun> {
  if (run === undefined) throw new Error('the event has started no run');
  await t.result(run);
  return run;
}
