import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { WriteStream } from 'node:tty';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunEventView, RunView } from './api-types.ts';
import { fiveAnswers } from './five-answers.ts';
import { readFolder } from './folder.ts';
import { readOptions, UsageFault } from './options.ts';
import { keyOf, paidCalls, prove } from './proof.ts';
import { questionsFor } from './questions.ts';
import { newTrack, track } from './run-track.ts';
import { bar, cut, screenOn, wrap } from './screen.ts';
import { quantile } from './statistics.ts';
import { leaveWorkspace, openWorkspace } from './workspace.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function event(seq: number, type: string, data: unknown, payload?: unknown): RunEventView {
  return { seq, id: `e${seq}`, type, at: '2026-01-01T00:00:00.000Z', actor: 'engine', data, payload };
}

function view(changes: Partial<RunView>): RunView {
  return {
    id: 'run_1',
    tenant: 'default',
    workflow: 'answer',
    version: null,
    state: 'running',
    startedAt: '',
    updatedAt: '',
    endedAt: null,
    events: 1,
    labels: {},
    failure: null,
    served: true,
    steps: [],
    waitingFor: [],
    retry: { possible: false, from: [] },
    deadLetter: null,
    parent: null,
    continuedBy: null,
    spend: { calls: 0, inputTokens: 0, outputTokens: 0, costMicros: 0, ambiguous: 0 },
    context: { saved: 0, fetched: 0, bundles: [] },
    progress: null,
    cursor: '',
    links: { self: '', history: '', result: '', stream: '' },
    ...changes,
  };
}

describe('options', () => {
  it('takes the folder of the example unless one is given', () => {
    expect(readOptions([])).toMatchObject({ builtIn: true, serve: false, kill: true, questions: [], port: 0 });
    expect(readOptions(['docs', '--serve', '--question', 'a?', '--question', 'b?'])).toMatchObject({
      builtIn: false,
      serve: true,
      questions: ['a?', 'b?'],
    });
  });

  it.each([[['a', 'b']], [['--port', 'x']], [['--unknown']]])('refuses %j', (args) => {
    expect(() => readOptions(args)).toThrow(UsageFault);
  });
});

describe('readFolder', () => {
  it('takes what the pipeline reads, names what it does not, and makes ids that differ', async () => {
    await mkdir(join(folder, 'sub'));
    await mkdir(join(folder, 'node_modules'));
    await writeFile(join(folder, 'a.md'), 'x');
    await writeFile(join(folder, 'a_md'), 'x');
    await writeFile(join(folder, 'sub', 'Ä b.txt'), 'y');
    await writeFile(join(folder, 'node_modules', 'c.md'), 'z');
    await writeFile(join(folder, '.hidden.md'), 'z');
    const { documents, skipped } = await readFolder(folder);
    expect(documents.map(({ name, kind }) => [name, kind])).toEqual([
      ['a.md', 'markdown'],
      [join('sub', 'Ä b.txt'), 'text'],
    ]);
    expect(new Set(documents.map(({ id }) => id)).size).toBe(2);
    for (const { id } of documents) expect(id).toMatch(/^[a-z0-9-]+$/);
    expect(skipped).toEqual([{ name: 'a_md', why: 'not Markdown, HTML, PDF or text' }]);
  });
});

describe('run track', () => {
  it('folds finished steps, progress and losses out of events', () => {
    const now = [
      event(1, 'run.started', {}),
      event(2, 'call.completed', { path: 'search', attempt: 1 }),
      event(3, 'progress.reported', { index: 0 }, { stage: 'asking' }),
      event(4, 'activation.retrying', { attempt: 1 }),
      event(5, 'step.completed', { path: 'ask', attempt: 2 }),
    ].reduce(track, newTrack('run_1'));
    expect(now).toMatchObject({ events: 5, progress: { stage: 'asking' }, reactivations: 1, retries: 0 });
    expect([...now.finished.keys()]).toEqual(['search', 'ask']);
  });
});

describe('proof', () => {
  const call = (received: number) => ({ kind: 'chat' as const, received, answered: received });
  const steps = [
    { path: 'ask', kind: 'step' as const, status: 'completed', attempt: 1 },
    { path: 'search', kind: 'call' as const, status: 'completed', attempt: 1 },
    { path: 'write', kind: 'step' as const, status: 'started', attempt: 1 },
  ];
  const before = new Map([
    [keyOf('run_1', 'ask'), call(1)],
    [keyOf('run_1', 'write'), call(1)],
  ]);

  it('tells calls that were in flight from calls that had been recorded', () => {
    const paid = paidCalls([view({ steps })], before);
    const after = new Map([...before, [keyOf('run_1', 'write'), call(2)], [keyOf('run_2', 'ask'), call(1)]]);
    expect(prove(paid, after)).toEqual({
      recordedBefore: 1,
      repeatedAfterRecord: [],
      received: 4,
      different: 3,
      inFlight: [keyOf('run_1', 'write')],
    });
  });

  it('finds a recorded call that was made again', () => {
    const paid = paidCalls([view({ steps })], before);
    const after = new Map([...before, [keyOf('run_1', 'ask'), call(2)]]);
    expect(prove(paid, after).repeatedAfterRecord).toEqual([keyOf('run_1', 'ask')]);
  });
});

describe('five answers', () => {
  it('are given for a run whose worker died', () => {
    const steps = [
      { path: 'embed', kind: 'call' as const, status: 'completed', attempt: 1 },
      { path: 'tools:1/calculate', kind: 'call' as const, status: 'completed', attempt: 1 },
      { path: 'tools:2/date-diff', kind: 'call' as const, status: 'completed', attempt: 1 },
      { path: 'write', kind: 'step' as const, status: 'started', attempt: 1 },
    ];
    const answers = fiveAnswers(view({ steps, progress: { stage: 'writing', done: 2 } }), null);
    expect(answers.state).toBe('running');
    expect(answers.succeeded).toBe('3 steps: embed, tools ×2');
    expect(answers.retry).toContain('retries by itself');
    expect(answers.person).toBe('nothing');
    expect(answers.show).toBe('writing: done 2');
  });

  it('name the remedy of a dead letter and where a retry begins', () => {
    const failed = view({ state: 'failed', retry: { possible: true, from: ['extract'] }, deadLetter: 'dl_1' });
    const answers = fiveAnswers(failed, {
      id: 'dl_1',
      run: 'run_1',
      workflow: 'ingest',
      path: 'extract',
      class: 'poison',
      code: 'X',
      message: 'm',
      attempts: 1,
      at: '',
      remedy: { name: 'quarantine', text: 'Mend the input.', redriveMayHelp: false },
      confidence: null,
      reason: null,
      classifier: null,
      notEditable: null,
      trail: [],
    });
    expect(answers.retry).toBe('yes, from extract; finished steps stay, but a retry alone will not help');
    expect(answers.person).toBe('dead letter (poison): Mend the input.');
  });
});

describe('questions', () => {
  it('are the given ones, else the demo has its own, else they are made of headings', () => {
    expect(questionsFor(['a?'], true, [])).toEqual(['a?']);
    expect(questionsFor([], true, []).length).toBeGreaterThanOrEqual(4);
    expect(questionsFor([], false, ['Wind', '1', 'Wind', 'Rain'])).toEqual([
      'What do the documents say about Wind?',
      'What do the documents say about Rain?',
    ]);
    expect(questionsFor([], false, [])).toHaveLength(1);
  });
});

describe('screen', () => {
  it('writes lines and no control characters where there is no terminal', () => {
    const output = new PassThrough();
    const screen = screenOn(output as unknown as WriteStream, {});
    screen.row('a', 'never seen');
    screen.line(screen.paint.bad('one'));
    expect(String(output.read())).toBe('one\n');
  });

  it('cuts to the width without counting colours, draws bars, wraps words', () => {
    expect(cut('\u001b[31mabcdef\u001b[0m', 3)).toBe('\u001b[31mabc\u001b[0m');
    expect([bar(0, 4, 4), bar(2, 4, 4), bar(9, 4, 4), bar(0, 0, 2)]).toEqual(['░░░░', '██░░', '████', '░░']);
    expect(wrap('one two three', 8, '> ')).toBe('one two\n> three');
  });
});

describe('quantile', () => {
  it('is the value of the nearest rank', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect([quantile(values, 0.5), quantile(values, 0.99), quantile([7], 0.99)]).toEqual([50, 99, 7]);
    expect(quantile([], 0.5)).toBeNaN();
  });
});

describe('workspace', () => {
  it('is emptied for a new demo, and refused while another one lives in it', async () => {
    const place = join(folder, 'demo');
    const workspace = await openWorkspace(place);
    await writeFile(workspace.database, 'old');
    await expect(openWorkspace(place)).rejects.toThrow('Another demo');
    await leaveWorkspace(workspace);
    await openWorkspace(place);
    await expect(readFile(workspace.database)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
