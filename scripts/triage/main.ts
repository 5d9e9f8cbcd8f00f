/**
 * `npm run triage -- train` writes the model that is shipped, or one of your own where `--out` names a JSON file, `npm run triage -- evaluate` the page of figures. Both read
 * the development set, or the files given with `--data` (repeated; operators' corrections have the same form), and the
 * messages that were written by hand, which `--alone` leaves out.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { modelData } from '../../src/core/triage/model-data.js';
import { developmentSet, readExamples, unseenSet, writtenSet } from './examples.js';
import { evaluationPage } from './evaluate.js';
import { moduleOf } from './model-module.js';
import { train } from './train.js';

const root = new URL('../../', import.meta.url);
const usage =
  'npm run triage -- train|evaluate [--data <file>]... [--out <file>] [--seed <n>] [--version <n>] [--alone]';

/** Shares of rules and model, chosen on blurred messages: see docs/adr/0035-triage-is-rules-then-a-model.md. */
const mix = { rules: 1, model: 0.6 };

function run(argv: readonly string[]): void {
  const { positionals, values } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      data: { type: 'string', multiple: true },
      out: { type: 'string' },
      seed: { type: 'string' },
      version: { type: 'string' },
      alone: { type: 'boolean', default: false },
    },
  });
  const development = readExamples(values.data ?? [inRepository(developmentSet)]);
  const written = values.alone ? [] : readExamples([inRepository(writtenSet)]);
  switch (positionals[0]) {
    case 'train': {
      const version = Number(values.version ?? modelData.version);
      const data = train([...development, ...written], { version, seed: Number(values.seed ?? 1), mix });
      const file = values.out ?? 'src/core/triage/model-data.ts';
      write(file, file.endsWith('.json') ? `${JSON.stringify(data)}\n` : moduleOf(data));
      return;
    }
    case 'evaluate':
      write(
        values.out ?? 'docs/reference/triage.md',
        evaluationPage({ development, written, unseen: readExamples([inRepository(unseenSet)]) }),
      );
      return;
    default:
      throw new Error(usage);
  }
}

function inRepository(path: string): string {
  return fileURLToPath(new URL(path, root));
}

function write(file: string, text: string): void {
  writeFileSync(new URL(file, root), text);
  console.log(`${file}: ${text.length} characters.`);
}

try {
  run(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
