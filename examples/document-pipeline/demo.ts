/**
 * The demo: a server and two workers of different capabilities as processes of their own, real documents, real questions,
 * and one worker killed in mid-run. It talks to the server over HTTP only, as any program would.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { resolve } from 'node:path';
import type { Child } from './demo/child-process.ts';
import { type FolderContents, readFolder } from './demo/folder.ts';
import { type Installation, startInstallation, workerParts } from './demo/installation.ts';
import { type DemoOptions, readOptions, UsageFault, usage } from './demo/options.ts';
import { prove } from './demo/proof.ts';
import { publisherOf } from './demo/publisher.ts';
import { questionsFor } from './demo/questions.ts';
import { screenOn } from './demo/screen.ts';
import { type Answered, ask, askAndKill, type Ingested, ingestAll, type Kill, type Session } from './demo/session.ts';
import { printFigures, printFiveAnswers, printProof, printWhereToLook } from './demo/summary.ts';
import { leaveWorkspace, openWorkspace, type Workspace } from './demo/workspace.ts';
import { type ModelEndpoint, type Provider, startModelEndpoint } from './model/endpoint.ts';

/** Pace of the built-in model. It computes an answer in a millisecond or two, which nobody could watch or interrupt. */
const wordPauseMs = 35;
const embeddingPauseMs = 40;
/** Questions that are asked before the worker is killed; the others are asked while it is gone. */
const firstQuestions = 2;

const screen = screenOn(process.stdout, process.env);
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
process.once('SIGTERM', () => stop.abort());

process.exitCode = await main().catch(report);

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    screen.line(usage);
    return 0;
  }
  const folder = await readFolder(options.folder);
  const provider = providerOf(process.env);
  introduce(options, folder, provider);
  if (folder.documents.length === 0) throw new Error(`There is nothing to read in ${options.folder}.`);

  const workspace = await openWorkspace(resolve('.eventspine', 'demo'));
  const endpoint = await startModelEndpoint({ provider, wordPauseMs, embeddingPauseMs });
  try {
    const installation = await startInstallation(workspace, { port: options.port, modelUrl: endpoint.url });
    try {
      return await show(options, folder, workspace, endpoint, installation);
    } finally {
      screen.clearRows();
      await installation.stop();
    }
  } finally {
    await endpoint.close();
    await leaveWorkspace(workspace);
  }
}

async function show(
  options: DemoOptions,
  folder: FolderContents,
  workspace: Workspace,
  endpoint: ModelEndpoint,
  installation: Installation,
): Promise<number> {
  const begun = performance.now();
  const { url, client } = installation;
  const publisher = publisherOf(client, 'demo');
  const session: Session = { screen, installation, endpoint, publisher, id: randomUUID(), signal: stop.signal };

  heading('1  Processes');
  const [library, models] = await Promise.all([
    installation.startWorker('library'),
    installation.startWorker('models'),
  ]);
  screen.line(`  server   process ${installation.server.pid}, ${url}, one SQLite file`);
  for (const worker of [library, models]) {
    const parts = workerParts[worker.name as keyof typeof workerParts].join(', ');
    screen.line(`  ${worker.name.padEnd(8)} process ${worker.pid}: ${parts}`);
  }

  heading(`2  ${count(folder.documents.length, 'document')} published as document.uploaded`);
  const ingested = await ingestAll(session, folder);
  tellDeadLetters(ingested);

  heading('3  Questions published as ai.analysis.requested');
  const indexed = ingested.filter(({ run }) => run.state === 'succeeded');
  if (indexed.length === 0) throw new Error('No document could be indexed; there is nothing to ask about.');
  const headings = options.builtIn ? [] : await headingsOf(installation, indexed);
  const questions = questionsFor(options.questions, options.builtIn, headings).map((text, i) => ({
    number: i + 1,
    text,
  }));
  const { answered, kill } = options.kill
    ? await askWithKill(session, questions, models, ingested)
    : { answered: await (await ask(session, questions)).answered, kill: null };

  if (kill !== null) {
    heading('4  What was paid for stays paid for');
    printProof(screen, prove(kill.paid, endpoint.calls()));
  }
  heading('5  Summary');
  await summarise(session, ingested, answered, kill, (performance.now() - begun) / 1_000);
  screen.line();
  const run = kill?.run ?? answered[0]?.run.id ?? '';
  printWhereToLook(screen, { url, run, database: workspace.database, logs: workspace.logs }, options.serve);
  if (options.serve && !stop.signal.aborted) {
    screen.line(`\n  Server and workers keep running. ${screen.paint.strong('Ctrl-C')} ends them.`);
    await once(stop.signal, 'abort');
  }
  const repeated = kill === null ? 0 : prove(kill.paid, endpoint.calls()).repeatedAfterRecord.length;
  return repeated === 0 && answered.every(({ output }) => output !== null) ? 0 : 1;
}

/** Asks some, kills the worker in the middle, starts it again, and asks the rest at once. */
async function askWithKill(
  session: Session,
  questions: readonly { readonly number: number; readonly text: string }[],
  worker: Child,
  ingested: readonly Ingested[],
): Promise<{ readonly answered: readonly Answered[]; readonly kill: Kill | null }> {
  const { paint } = screen;
  const before = ingested.map(({ run }) => run);
  const { asked, kill } = await askAndKill(session, questions.slice(0, firstQuestions), worker, before);
  if (kill === null) screen.line('  All was over before there was a moment to kill a worker in.');
  else {
    screen.line(
      `  ${paint.bad('✂ SIGKILL')} to worker "models" (process ${worker.pid}), in the middle of a model call.`,
    );
    printFiveAnswers(screen, 'Its run now:', kill.view, null);
    const again = await session.installation.startWorker('models');
    screen.line(
      `  Worker "models" is started again (process ${again.pid}). New questions are answered at once; what the`,
    );
    screen.line('  dead one held is handed out again when its session has been silent for long enough (about 15 s).');
    screen.line();
  }
  const rest = await ask(session, questions.slice(firstQuestions));
  return { answered: [...(await asked.answered), ...(await rest.answered)], kill };
}

async function summarise(
  session: Session,
  ingested: readonly Ingested[],
  answered: readonly Answered[],
  kill: Kill | null,
  seconds: number,
): Promise<void> {
  const { client } = session.installation;
  const chosen = kill?.run ?? answered[0]?.run.id;
  if (chosen !== undefined) {
    const title = kill === null ? 'Five answers about a run:' : 'Five answers about the run that lost its worker:';
    printFiveAnswers(screen, title, await client.runs.get(chosen), null);
  }
  const dead = ingested.find(({ deadLetter }) => deadLetter !== null);
  if (dead !== undefined) {
    const view = await client.runs.get(dead.run.id);
    printFiveAnswers(screen, `And about ${dead.document.name}:`, view, dead.deadLetter);
  }
  screen.line();
  const runs = [...ingested, ...answered].map(({ run }) => run);
  printFigures(screen, {
    documents: ingested.length,
    indexed: ingested.filter(({ run }) => run.state === 'succeeded').length,
    questions: answered.length,
    answered: answered.filter(({ output }) => output !== null).length,
    steps: runs.reduce((sum, run) => sum + run.finished.size, 0),
    modelCalls: [...session.endpoint.calls().values()].reduce((sum, call) => sum + call.received, 0),
    latency: session.publisher.latency(),
    seconds,
    model: answered.find(({ output }) => output !== null)?.output?.model ?? 'no model',
  });
}

function introduce(options: DemoOptions, folder: FolderContents, provider: Provider | null): void {
  const { paint } = screen;
  screen.line(paint.strong('Eventspine: documents in, answers out, nothing done twice'));
  screen.line(
    `  Folder: ${options.builtIn ? 'the handbook of an observatory (examples/document-pipeline)' : options.folder}`,
  );
  screen.line(
    provider === null
      ? `  Model:  built in, on this machine; it quotes sentences and calls tools by rules, ${wordPauseMs} ms a word`
      : `  Model:  ${provider.model} at ${provider.baseUrl}; embeddings are built in`,
  );
  for (const { name, why } of folder.skipped) screen.line(paint.faint(`  Skipped ${name}: ${why}`));
}

function tellDeadLetters(ingested: readonly Ingested[]): void {
  for (const { document, deadLetter } of ingested) {
    if (deadLetter === null) continue;
    screen.line(
      `    ${document.name} is a dead letter (${deadLetter.class}, ${deadLetter.code}): ${deadLetter.message}`,
    );
  }
}

async function headingsOf(installation: Installation, ingested: readonly Ingested[]): Promise<string[]> {
  const results = await Promise.all(ingested.map(({ run }) => installation.client.run<'ingest'>(run.id).result()));
  return results.flatMap((result) => result.headings);
}

function providerOf(environment: Readonly<Record<string, string | undefined>>): Provider | null {
  const { OPENAI_BASE_URL: baseUrl = '', OPENAI_API_KEY: apiKey = '', OPENAI_MODEL: model = '' } = environment;
  if (baseUrl === '' && apiKey === '') return null;
  return {
    baseUrl: baseUrl === '' ? 'https://api.openai.com/v1' : baseUrl,
    apiKey: apiKey === '' ? null : apiKey,
    model: model === '' ? 'gpt-4o-mini' : model,
  };
}

function heading(text: string): void {
  screen.line(`\n${screen.paint.strong(text)}`);
}

function count(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? '' : 's'}`;
}

function report(error: unknown): number {
  screen.clearRows();
  if (stop.signal.aborted) {
    screen.line('\nStopped.');
    return 130;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`\nThe demo failed: ${message}\n${error instanceof UsageFault ? `\n${usage}\n` : ''}`);
  return 1;
}
