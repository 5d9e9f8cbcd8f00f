/**
 * One demo from the first event to the last answer, over a running installation. Everything it knows comes over HTTP or
 * from the counter of the model endpoint.
 */
import type { ModelEndpoint } from '../model/endpoint.ts';
import { printAnswer, type ShownQuestion, showAnswer } from './answer-view.ts';
import type { Answer, DeadLetterView, RunView } from './api-types.ts';
import type { Child } from './child-process.ts';
import type { FolderContents, UploadedDocument } from './folder.ts';
import { follow } from './follow.ts';
import { showIngest } from './ingest-view.ts';
import type { Installation } from './installation.ts';
import { type PaidCalls, paidCalls } from './proof.ts';
import type { Accepted, Publisher } from './publisher.ts';
import { newTrack, type RunTrack } from './run-track.ts';
import type { Screen } from './screen.ts';

/** What a demo works with. */
export interface Session {
  readonly screen: Screen;
  readonly installation: Installation;
  readonly endpoint: ModelEndpoint;
  readonly publisher: Publisher;
  /** Distinguishes the event ids of this demo. */
  readonly id: string;
  readonly signal: AbortSignal;
}

/** A document and what became of it. */
export interface Ingested {
  readonly document: UploadedDocument;
  readonly run: RunTrack;
  readonly deadLetter: DeadLetterView | null;
}

/** A question and what became of it. */
export interface Answered {
  readonly question: ShownQuestion;
  readonly run: RunTrack;
  readonly output: Answer | null;
}

/** What was seen at the moment of the kill. */
export interface Kill {
  readonly run: string;
  /** The run as the API showed it while its worker was dead. */
  readonly view: RunView;
  readonly paid: PaidCalls;
}

/** Publishes all documents and follows their runs to the end. */
export async function ingestAll(session: Session, folder: FolderContents): Promise<Ingested[]> {
  const { screen, installation, publisher, signal } = session;
  const published: { document: UploadedDocument; run: string }[] = [];
  for (const document of folder.documents) {
    // One after the other, as users would come: what is measured is the time of one request, not of ten that compete.
    const { run } = await publisher.publish('document.uploaded', `${session.id}:${document.id}`, document);
    published.push({ document, run });
  }
  const runs = await Promise.all(
    published.map(async ({ document, run }) => {
      const onChange = (now: RunTrack, before: RunTrack): void => {
        // The state comes first and the end last; what follows the end has been shown.
        if (!before.ended) showIngest(screen, document, now);
      };
      return { document, run: await follow(installation.client, run, onChange, signal) };
    }),
  );
  const ingested: Ingested[] = [];
  for (const { document, run } of runs) {
    const { deadLetter } = run.state === 'failed' ? await installation.client.runs.get(run.id) : { deadLetter: null };
    const letter = deadLetter === null ? null : await installation.client.deadLetters.get(deadLetter);
    ingested.push({ document, run, deadLetter: letter });
  }
  return ingested;
}

/** Questions whose runs are followed; `all` is what the streams have told so far. */
export interface Asked {
  readonly all: () => readonly RunTrack[];
  readonly answered: Promise<readonly Answered[]>;
}

/** Publishes questions and follows their runs. Calls `onProgress` after each event. */
export async function ask(
  session: Session,
  questions: readonly ShownQuestion[],
  onProgress: (runs: readonly RunTrack[]) => void = () => undefined,
): Promise<Asked> {
  const { publisher, installation, screen, signal } = session;
  const tracks = new Map<string, RunTrack>();
  const all = (): RunTrack[] => [...tracks.values()];
  const accepted: { question: ShownQuestion; accepted: Accepted }[] = [];
  for (const question of questions) {
    const data = { question: question.text };
    const answer = await publisher.publish('ai.analysis.requested', `${session.id}:question-${question.number}`, data);
    tracks.set(answer.run, newTrack(answer.run));
    accepted.push({ question, accepted: answer });
  }
  const following = accepted.map(async ({ question, accepted: { run, at } }): Promise<Answered> => {
    const ended = await follow(
      installation.client,
      run,
      (now, before) => {
        tracks.set(run, now);
        showAnswer(screen, question, now, before);
        onProgress(all());
      },
      signal,
    );
    const seconds = (performance.now() - at) / 1_000;
    const output = ended.state === 'succeeded' ? await installation.client.run<'answer'>(run).result({ signal }) : null;
    printAnswer(screen, question, ended, output, seconds);
    return { question, run: ended, output };
  });
  const answered = Promise.all(following);
  // Whoever asked awaits it later; until then a failure is not unhandled.
  answered.catch(() => undefined);
  return { all, answered };
}

/**
 * Asks questions and, as soon as one of their runs has recorded a model call and is in the middle of another, kills the
 * worker that runs it. Resolves once the worker is dead; `kill` is null when all was over too soon.
 */
export async function askAndKill(
  session: Session,
  questions: readonly ShownQuestion[],
  worker: Child,
  earlier: readonly RunTrack[],
): Promise<{ readonly asked: Asked; readonly kill: Kill | null }> {
  const { endpoint, installation } = session;
  let reach: (run: string) => void = () => undefined;
  const reached = new Promise<string>((resolve) => {
    reach = resolve;
  });
  const asked = await ask(session, questions, (runs) => {
    const found = runs.find((run) => isInTheMiddle(run));
    if (found !== undefined) reach(found.id);
  });
  const run = await Promise.race([reached, asked.answered.then(() => null)]);
  if (run === null) return { asked, kill: null };
  worker.kill('SIGKILL');
  await worker.ended;
  const counted = endpoint.calls();
  const runs = [...earlier, ...asked.all()].map(({ id }) => installation.client.runs.get(id));
  const views = await Promise.all(runs);
  const view = views.find(({ id }) => id === run) ?? (await installation.client.runs.get(run));
  return { asked, kill: { run, view, paid: paidCalls(views, counted) } };
}

/** A model call is recorded and another is being written. */
function isInTheMiddle(run: RunTrack): boolean {
  return run.progress['stage'] === 'writing' && !run.ended && run.finished.has('search');
}
