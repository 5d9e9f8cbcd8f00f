/**
 * The layer table: the one place that says which folder of `src/` may import from which. A folder imports only from
 * lower layers; folders of one layer never import each other. The references of each tsconfig.json make the compiler
 * refuse the rest, and this check makes sure that they say what the table says.
 */
import { posix } from 'node:path';
import type { ImportGraph } from './import-graph.js';

/** Layer of each folder under `src/`. docs/ARCHITECTURE.md draws it. */
export const layers: Readonly<Record<string, number>> = {
  core: 0,
  // Binds the ports of core to Node: above core and below everything that runs.
  runtime: 1,
  // Signatures of webhooks, for anybody's senders and receivers: knows nothing of what runs here.
  webhooks: 1,
  // Lint rules for users' code; stands alone, and linters load nothing else of the package.
  eslint: 1,
  protocol: 1,
  store: 1,
  // The port that message buses outside are behind; their clients are folders of `buses/`.
  bus: 1,
  workflow: 1,
  'stores/sqlite': 2,
  'stores/postgres': 2,
  'buses/kafka': 2,
  'buses/nats': 2,
  engine: 2,
  // Clients of model endpoints: the check of options comes from workflow, the ports of Node from runtime.
  models: 2,
  worker: 2,
  client: 2,
  // The port of buses over an engine: what Kafka is behind it, a store is as well.
  'buses/store': 3,
  server: 3,
  testing: 3,
  page: 3,
  // Chats of the AI SDK's pages, over a client or a spine.
  'ai-sdk': 3,
  // Routes of host applications between their old handlers and workflows, over a client or a spine.
  strangle: 3,
  // Mounts server.fetch, so it stands above the server.
  spine: 4,
  react: 4,
  // Forms of `authorize` of a server.
  auth: 4,
  cli: 5,
  mount: 5,
};

/** A tsconfig.json under `src/`, by its path from the root. */
export interface Project {
  readonly file: string;
  readonly config: { readonly references?: readonly { readonly path: string }[] };
}

/** Folders without a layer, references that go up or sideways or nowhere, folders without a project. */
export function referenceFaults(projects: readonly Project[]): string[] {
  const faults: string[] = [];
  const known = new Set<string>();
  for (const { file, config } of projects) {
    const folder = posix.dirname(file).replace(/^src\//, '');
    known.add(folder);
    if (layers[folder] === undefined) faults.push(`${file}: "${folder}" has no layer in scripts/layers.ts.`);
    for (const { path } of config.references ?? []) {
      const target = posix.join(posix.dirname(file), path).replace(/^src\//, '');
      if (!isBelow(target, folder)) faults.push(`${file}: the reference to "${target}" does not go to a lower layer.`);
    }
  }
  for (const folder of Object.keys(layers)) {
    if (!known.has(folder)) faults.push(`src/${folder}/tsconfig.json is missing.`);
  }
  return faults;
}

/** Imports that cross the table. Tests count as code of their folder, except that they may use the test kit. */
export function layerFaults(graph: ImportGraph): string[] {
  const faults: string[] = [];
  for (const [file, imports] of graph) {
    const from = folderOf(file);
    for (const { to } of imports) {
      const target = folderOf(to);
      if (from === null) continue;
      if (target === null) {
        if (!isTest(file)) faults.push(`${file} imports ${to}, which is outside of src/.`);
        continue;
      }
      const kit = isTest(file) && target === 'testing';
      if (target !== from && !kit && !isBelow(target, from)) {
        faults.push(`${file} imports ${to}: "${target}" is not below "${from}".`);
      }
    }
  }
  return faults;
}

function isTest(file: string): boolean {
  return file.endsWith('.test.ts');
}

function isBelow(target: string, folder: string): boolean {
  const of = layers[target];
  const own = layers[folder];
  return of !== undefined && own !== undefined && of < own;
}

/** The folder of the table that a file belongs to; null outside of `src/`. */
function folderOf(file: string): string | null {
  if (!file.startsWith('src/')) return null;
  const parts = file.split('/');
  const pair = `${parts[1] ?? ''}/${parts[2] ?? ''}`;
  return layers[pair] === undefined ? (parts[1] ?? null) : pair;
}
