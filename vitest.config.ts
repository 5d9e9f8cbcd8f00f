/**
 * Six projects, because they want different machines: `main` (unit, conformance, model, docs, types) is many small files;
 * `postgres` has a server that is found or started for it; `kafka` runs under a Node of its own, with a broker beside it; `simulation` is CPU-bound and long; the programs of `process` mostly
 * start, wait and install, so that `npm test` gives it a worker more; `campaign` has several servers, workers and a database for
 * each test, and runs one file at a time.
 * Workers are forks, so that a test that ends its process or blocks its loop harms only its own file.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** More would only take turns: the house machine has two cores and so have most CI runners. */
const workersMax = 2;

const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';
const minute = 60_000;

/** `import 'eventspine'` means the built package, as it does for a user; Vite does not resolve self-references. */
const entry = (path: string): string => fileURLToPath(new URL(`dist/${path}/index.js`, import.meta.url));
const alias = [
  { find: /^eventspine$/, replacement: entry('spine') },
  { find: /^eventspine\/serverless$/, replacement: entry('worker/serverless') },
  { find: /^eventspine\/triage$/, replacement: entry('core/triage') },
  { find: /^eventspine\/sqlite$/, replacement: entry('stores/sqlite') },
  { find: /^eventspine\/postgres$/, replacement: entry('stores/postgres') },
  { find: /^eventspine\/kafka$/, replacement: entry('buses/kafka') },
  { find: /^eventspine\/nats$/, replacement: entry('buses/nats') },
  {
    find: /^eventspine\/(worker|client|server|webhooks|testing|page|react|mount|models|ai-sdk|auth|strangle|eslint)$/,
    replacement: fileURLToPath(new URL('dist', import.meta.url)) + '/$1/index.js',
  },
];

export default defineConfig({
  resolve: { alias },
  test: {
    pool: 'forks',
    maxWorkers: workersMax,
    // A test that needs another's leftovers is a bug; order by file name hides it.
    sequence: { shuffle: { files: true, tests: false }, ...(nightly ? {} : { seed: 1 }) },
    setupFiles: [fileURLToPath(new URL('test/seeds.ts', import.meta.url))],
    projects: [
      {
        extends: true,
        test: {
          name: 'main',
          // Two hundred small files: to load everything anew for each took a third of the time.
          isolate: false,
          include: [
            'src/**/*.test.ts',
            'scripts/**/*.test.ts',
            'examples/**/*.test.ts',
            'test/{ai,conformance,deploy,model,docs,security,strangle,types}/**/*.test.ts',
          ],
          testTimeout: 20_000,
          hookTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'postgres',
          include: ['test/postgres/**/*.test.ts'],
          globalSetup: ['test/postgres/global-setup.ts'],
          testTimeout: nightly ? 10 * minute : minute,
          hookTimeout: minute,
        },
      },
      {
        extends: true,
        test: {
          name: 'kafka',
          include: ['test/kafka/**/*.test.ts'],
          globalSetup: ['test/kafka/global-setup.ts'],
          testTimeout: nightly ? 10 * minute : minute,
          hookTimeout: minute,
        },
      },
      {
        extends: true,
        test: {
          name: 'simulation',
          include: ['test/simulation/**/*.test.ts'],
          testTimeout: nightly ? 60 * minute : 5 * minute,
          hookTimeout: minute,
        },
      },
      {
        extends: true,
        test: {
          name: 'campaign',
          include: ['test/campaign/**/*.test.ts'],
          testTimeout: 3 * minute,
          hookTimeout: 3 * minute,
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'process',
          include: ['test/process/**/*.test.ts'],
          testTimeout: nightly ? 60 * minute : 3 * minute,
          hookTimeout: 3 * minute,
        },
      },
    ],
  },
});
