/**
 * Checks of the repository that neither the compiler nor the linter makes: the layer table, cycles between files,
 * index files that only re-export, words that must not be committed, decisions that nobody listed.
 * Prints one line per fault and exits with 1 where there is any. Each check is a function of file texts, so that the
 * tests can show that it finds what it is for.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCycles } from './import-cycles.js';
import { scanImports, type ImportGraph } from './import-graph.js';
import { layerFaults, referenceFaults, type Project } from './layers.js';
import { adrFaults, indexFaults, wordFaults } from './text-rules.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Files that git knows or would add; ignored ones are nobody's business. */
function listFiles(): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return listed.split('\0').filter((file) => file !== '' && existsSync(join(root, file)));
}

/** All faults of the repository, as sentences that name the file. */
function checkRepository(): string[] {
  const files = listFiles();
  const read = (file: string): string => readFileSync(join(root, file), 'utf8');
  const sources = files.filter((file) => /\.(ts|mts|tsx|mjs)$/.test(file));
  const texts = new Map(sources.map((file) => [file, read(file)]));
  const graph: ImportGraph = scanImports(texts);
  const projects: Project[] = files
    .filter((file) => /^src\/.*tsconfig\.json$/.test(file))
    .map((file) => ({ file, config: JSON.parse(read(file)) as Project['config'] }));
  const written = files.filter((file) => /\.(ts|tsx|mts|mjs|md|json|sh|html|css)$|^\.ci\//.test(file));

  return [
    ...referenceFaults(projects),
    ...layerFaults(graph),
    ...findCycles(graph).map((cycle) => `Import cycle: ${cycle.join(' -> ')}`),
    ...[...texts].filter(([file]) => file.startsWith('src/')).flatMap(([file, text]) => indexFaults(file, text)),
    ...written.filter((file) => file !== 'package-lock.json').flatMap((file) => wordFaults(file, read(file))),
    ...adrFaults(
      existsSync(join(root, 'docs/adr')) ? readdirSync(join(root, 'docs/adr')) : [],
      readIfPresent('docs/adr/README.md'),
    ),
  ];
}

function readIfPresent(file: string): string {
  return existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '';
}

const faults = checkRepository();
for (const fault of faults) console.error(fault);
console.log(faults.length === 0 ? 'The repository keeps its rules.' : `${faults.length} fault(s).`);
process.exitCode = faults.length === 0 ? 0 : 1;
