/** The command line of the demo. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** What the demo was asked to do. */
export interface DemoOptions {
  /** Folder of the documents. */
  readonly folder: string;
  /** Whether `folder` is the one that comes with the example. */
  readonly builtIn: boolean;
  /** Questions given on the command line; empty = the demo's own. */
  readonly questions: readonly string[];
  /** Keep server and workers running until Ctrl-C. */
  readonly serve: boolean;
  /** Kill a worker in mid-run. */
  readonly kill: boolean;
  /** Port of the server; 0 = any free one. */
  readonly port: number;
  readonly help: boolean;
}

/** A command line that makes no sense. */
export class UsageFault extends Error {
  override readonly name = 'UsageFault';
}

export const usage = `npm run demo -- [folder] [options]

  folder               Markdown, HTML, PDF and text files; default: the handbook of an observatory
  --question <text>    ask this instead of the demo's own questions; may be repeated
  --serve              keep server and workers running afterwards, until Ctrl-C
  --no-kill            do not kill a worker
  --port <n>           port of the server; default: any free one
  --help               this text

With OPENAI_BASE_URL and/or OPENAI_API_KEY (and OPENAI_MODEL, default gpt-4o-mini) set, questions go to that provider.`;

/** Reads the command line. Throws `UsageFault`. */
export function readOptions(args: readonly string[]): DemoOptions {
  const { values, positionals } = parse(args);
  const [folder, ...rest] = positionals;
  if (rest.length > 0) throw new UsageFault(`One folder is enough; what about "${rest.join(' ')}"?`);
  const port = Number(values.port ?? 0);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new UsageFault(`"${values.port}" is not a port.`);
  return {
    folder: folder === undefined ? fileURLToPath(new URL('../documents', import.meta.url)) : resolve(folder),
    builtIn: folder === undefined,
    questions: values.question ?? [],
    serve: values.serve ?? false,
    kill: values['no-kill'] !== true,
    port,
    help: values.help ?? false,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        question: { type: 'string', multiple: true },
        serve: { type: 'boolean' },
        'no-kill': { type: 'boolean' },
        port: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageFault(error instanceof Error ? error.message : String(error));
  }
}
