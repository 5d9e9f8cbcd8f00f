import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { errorCatalogue } from '../core/errors.js';
import { commands } from './commands.js';
import { readEnvironment } from './environment.js';
import type { Io } from './io.js';
import { referencePage } from './reference-page.js';
import { runCli } from './run-cli.js';

let server: Server | null = null;
let folder: string | null = null;

afterEach(async () => {
  server?.closeAllConnections();
  server?.close();
  server = null;
  if (folder !== null) await rm(folder, { recursive: true });
  folder = null;
});

interface Asked {
  readonly request: string;
  readonly body: string;
}

/** A server that answers `METHOD /path` (query cut off) as told, and 404 otherwise. */
async function serve(answers: Readonly<Record<string, unknown>>): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      asked.push({ request: `${request.method} ${request.url}`, body });
      const answer = answers[`${request.method} ${request.url?.split('?')[0]}`];
      if (typeof answer === 'string') {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end(answer);
      } else if (answer === undefined) {
        const problem = { code: 'RUN_NOT_FOUND', status: 404, detail: 'There is no run.', mend: 'Check the id.' };
        response.writeHead(404, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
      } else {
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      }
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

interface Ran {
  readonly code: number;
  readonly out: string[];
  readonly err: string[];
}

async function cli(typed: readonly string[], more: Partial<Io> = {}): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const io: Io = {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    terminal: false,
    columns: 80,
    folder: process.cwd(),
    environment: readEnvironment({}),
    readInput: () => Promise.resolve(''),
    inputPieces: () => Readable.from([]),
    outHasRoom: () => Promise.resolve(),
    signal: new AbortController().signal,
    ...more,
  };
  return { code: await runCli(typed, commands, io), out, err };
}

const summary = {
  id: 'run_1',
  tenant: 'default',
  workflow: 'answer',
  version: null,
  state: 'failed',
  startedAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-01T00:00:00.000Z',
  endedAt: null,
  events: 3,
  labels: { order: '17' },
  failure: { class: 'auth', code: 'E401', message: 'no\u001b[2J key' },
};

describe('help', () => {
  it('is an answer, not a mistake', async () => {
    const { code, out, err } = await cli([]);
    expect([code, err]).toEqual([0, []]);
    expect(out.join('\n')).toMatch(/runs watch <run>.*\n[^]*Exit codes:/);
  });

  it('says all about one command', async () => {
    const text = (await cli(['help', 'publish'])).out.join('\n');
    expect(text).toMatch(/Usage: eventspine publish <topic> <data> \[flags\][^]*--subject <text>[^]*Examples:/);
    expect((await cli(['publish', '--help'])).out.join('\n')).toBe(text);
  });

  it('shows the commands of a group, and a suggestion for a misspelt one', async () => {
    expect((await cli(['help', 'runs'])).out.join('\n')).toMatch(/runs cancel/);
    const { code, err } = await cli(['help', 'qeues']);
    expect([code, err.join('\n')]).toEqual([2, expect.stringMatching(/Did you mean "queues"/)]);
  });

  it('is in the reference page, word for word', async () => {
    const page = new URL('../../docs/reference/cli.md', import.meta.url);
    if (process.env['EVENTSPINE_WRITE_DOCS'] === '1') await writeFile(page, referencePage(commands));
    expect(await readFile(page, 'utf8')).toBe(referencePage(commands));
  });
});

describe('exit codes', () => {
  it('is 2 for a mistake, with the mend', async () => {
    const { code, out, err } = await cli(['runs', 'lits']);
    expect([code, out]).toEqual([2, []]);
    expect(err.join('\n')).toMatch(/COMMAND_INVALID: .*Did you mean "list"\?\n.*eventspine help/);
  });

  it('is 3 where nobody answers', async () => {
    const { code, err } = await cli(['queues', '--url', '127.0.0.1:1']);
    expect([code, err.join(' ')]).toEqual([3, expect.stringMatching(/SERVER_UNREACHABLE.*eventspine dev/)]);
  });

  it('is 4 for what does not exist, and the error is JSON where JSON was asked for', async () => {
    const { url } = await serve({});
    const { code, out, err } = await cli(['runs', 'show', 'run_9', '--url', url, '--json']);
    expect([code, out]).toEqual([4, []]);
    expect(JSON.parse(err.join(''))).toMatchObject({ error: { code: 'RUN_NOT_FOUND', mend: 'Check the id.' } });
  });

  it('is 2 for an address that is none', async () => {
    expect((await cli(['queues', '--url', 'ftp://x'])).code).toBe(2);
  });

  it('is 130 when Ctrl-C ends the waiting', async () => {
    const controller = new AbortController();
    const { url } = await serve({});
    controller.abort(new Error('SIGINT'));
    expect((await cli(['queues', '--url', url], { signal: controller.signal })).code).toBe(130);
  });
});

describe('environment', () => {
  it('gives the address and the token unless flags do', async () => {
    const { url, asked } = await serve({ 'GET /v1/queues': { items: [], next: null } });
    const environment = readEnvironment({ EVENTSPINE_URL: url, EVENTSPINE_TOKEN: '' });
    expect(environment.token).toBeUndefined();
    expect((await cli(['queues'], { environment })).code).toBe(0);
    expect(asked).toHaveLength(1);
  });
});

describe('runs', () => {
  const page = { items: [summary], next: null };

  it('lists as a table, without letting a message steer the terminal', async () => {
    const { url } = await serve({ 'GET /v1/runs': page });
    const { out } = await cli(['runs', 'list', '--url', url]);
    expect(out[0]).toMatch(/^RUN\s+WORKFLOW\s+STATE/);
    expect(out[1]).toMatch(/run_1\s+answer\s+failed.*auth: no \[2J key$/);
  });

  it('lists as one JSON value a line, with the filters that were given', async () => {
    const { url, asked } = await serve({ 'GET /v1/runs': page });
    const typed = ['runs', 'list', '--state', 'failed', '--class', 'auth', '--label', 'order:17', '--oldest'];
    const { out } = await cli([...typed, '--url', url, '--json']);
    expect(out.map((line) => JSON.parse(line) as unknown)).toEqual([summary]);
    expect(asked[0]?.request).toBe('GET /v1/runs?state=failed&failureClass=auth&label=order%3A17&order=oldest');
  });

  it('refuses a state that there is not', async () => {
    const { code, err } = await cli(['runs', 'list', '--state', 'faild']);
    expect([code, err.join(' ')]).toEqual([2, expect.stringMatching(/Did you mean "failed"/)]);
  });

  it('shows the answers to the five questions', async () => {
    const view = {
      ...summary,
      steps: [{ path: 'draft', kind: 'call', status: 'failed', attempt: 4, capability: 'llm' }],
      waitingFor: [],
      retry: { possible: true, from: ['draft'] },
      deadLetter: 'dlq_1',
      progress: { percent: 40 },
      links: {},
    };
    const { url } = await serve({ 'GET /v1/runs/run_1': view });
    const text = (await cli(['runs', 'show', 'run_1', '--url', url])).out.join('\n');
    for (const part of ['failed', 'yes, from draft', 'dead letter dlq_1', '{"percent":40}', 'label order', 'llm']) {
      expect(text).toContain(part);
    }
  });

  it('cancels many with one request and fails when one was refused', async () => {
    const items = [
      { id: 'a', outcome: 'done' },
      { id: 'b', error: { code: 'RUN_NOT_FOUND', detail: 'There is no run.' } },
    ];
    const { url, asked } = await serve({ 'POST /v1/runs:cancel': { items } });
    const { code } = await cli(['runs', 'cancel', 'a', 'b', '--reason', 'why', '--url', url]);
    expect(code).toBe(1);
    expect(JSON.parse(asked[0]?.body ?? '')).toEqual({ ids: ['a', 'b'], reason: 'why' });
  });

  it('watches until the end and ends as the run did', async () => {
    const event = { seq: 1, id: 'e', type: 'run.started', at: '2026-01-01T00:00:00.000Z', actor: 'x', data: {} };
    const stream = (state: string): string =>
      `id: c1\nevent: event\ndata: ${JSON.stringify(event)}\n\nevent: end\ndata: {"state":"${state}"}\n\n`;
    const { url } = await serve({
      'GET /v1/runs/good/stream': stream('succeeded'),
      'GET /v1/runs/bad/stream': stream('failed'),
    });
    const good = await cli(['runs', 'watch', 'good', '--url', url]);
    expect([good.code, good.out]).toEqual([
      0,
      [expect.stringMatching(/1 {2}00:00:00\.000 {2}run\.started/), expect.stringMatching(/ended: succeeded/)],
    ]);
    const bad = await cli(['runs', 'watch', 'bad', '--url', url, '--json']);
    expect([bad.code, JSON.parse(bad.out[0] ?? '')]).toEqual([1, { event: 'event', data: event, cursor: 'c1' }]);
  });
});

describe('run and publish', () => {
  it('starts with input from the line, a file or the standard input', async () => {
    const { url, asked } = await serve({ 'POST /v1/workflows/answer/runs': { id: 'run_1', repeated: false } });
    folder = await mkdtemp(join(tmpdir(), 'eventspine-cli-'));
    await writeFile(join(folder, 'input.json'), '{"from":"file"}');
    const at = ['--url', url];
    expect((await cli(['run', 'answer', '{"from":"line"}', ...at])).out).toEqual(['run_1']);
    await cli(['run', 'answer', '@input.json', ...at], { folder });
    await cli(['run', 'answer', '-', ...at], { readInput: () => Promise.resolve('{"from":"stdin"}') });
    expect(asked.map(({ body }) => (JSON.parse(body) as { from: string }).from)).toEqual(['line', 'file', 'stdin']);
  });

  it('does not take text that is no JSON for a string', async () => {
    const { code, err } = await cli(['run', 'answer', 'hello']);
    expect([code, err.join(' ')]).toEqual([2, expect.stringMatching(/input is not valid JSON/)]);
  });

  it('waits for the result where asked to', async () => {
    const { url } = await serve({
      'POST /v1/workflows/answer/runs': { id: 'run_1', repeated: false },
      'GET /v1/runs/run_1/result': { text: '42' },
    });
    const { out } = await cli(['run', 'answer', '--wait', '--json', '--url', url]);
    expect(out).toEqual(['{"text":"42"}']);
  });

  it('publishes and says what was started', async () => {
    const items = [{ id: 'e1', topic: 't', duplicate: false, runs: ['run_1'] }];
    const { url, asked } = await serve({ 'POST /v1/topics/t/events': { items } });
    const { out } = await cli(['publish', 't', '{"n":1}', '--id', 'e1', '--key', 'k', '--url', url]);
    expect(out).toEqual(['e1  published', 'started run_1']);
    expect(JSON.parse(asked[0]?.body ?? '')).toMatchObject({ id: 'e1', partitionkey: 'k', data: { n: 1 } });
  });
});

describe('doctor', () => {
  const check = (ok: boolean): object => ({
    checkedAt: '2026-01-01T00:00:00.000Z',
    checks: [
      {
        property: 'P3',
        says: 'Nothing waits silently.',
        ok,
        checked: 5,
        violations: ok ? [] : [{ tenant: 'default', subject: 'run_1', detail: 'no next cause' }],
      },
    ],
  });

  it('fails when a property does not hold', async () => {
    const { url } = await serve({ 'GET /v1/doctor': check(false) });
    const { code, out } = await cli(['doctor', '--url', url]);
    expect(code).toBe(1);
    expect(out.join('\n')).toMatch(/BROKEN\s+P3[^]*run_1\s+no next cause/);
  });

  it('is content when all hold', async () => {
    const { url } = await serve({ 'GET /v1/doctor': check(true) });
    expect((await cli(['doctor', '--url', url])).code).toBe(0);
  });
});

describe('explain', () => {
  it('explains every code of the catalogue', async () => {
    for (const code of Object.keys(errorCatalogue)) {
      const { out } = await cli(['explain', code]);
      expect(out.join('\n')).toMatch(/message +\S.*\nwhat to do +\S/);
      expect(out.join('\n')).not.toMatch(/undefined|\[object/);
    }
  });

  it('shows the places of details by their names', async () => {
    expect((await cli(['explain', 'run_not_found'])).out.join('\n')).toContain('There is no run "<run>".');
    expect((await cli(['explain', 'INPUT_INVALID'])).out.join('\n')).toContain('"<name>": <faults>');
  });

  it('suggests the code that was meant', async () => {
    const { code, err } = await cli(['explain', 'LEASE_LOSR']);
    expect([code, err.join(' ')]).toEqual([2, expect.stringMatching(/Did you mean "LEASE_LOST"/)]);
  });
});

const weekly = {
  name: 'weekly',
  start: 'report',
  cron: '0 6 * * 1',
  timeZone: 'Asia/Tokyo',
  everyMs: null,
  input: { days: 7 },
  catchUp: 'all',
  catchUpMax: 9,
  jitterMs: 60_000,
  overlap: 'queue',
  queueMax: 2,
  app: null,
  pausedAt: null,
  pauseReason: null,
  next: ['2030-01-07T21:00:00.000Z'],
  waiting: [],
  running: ['run_1'],
  counts: { started: 3, skipped: 1, missed: 0 },
  recent: [
    {
      tick: '2020-01-06T21:00:00.000Z',
      at: '2020-01-06T21:00:01.000Z',
      outcome: 'started',
      run: 'run_1',
      reason: null,
    },
  ],
};

describe('schedules', () => {
  it('are made with what was typed', async () => {
    const { url, asked } = await serve({ 'PUT /v1/schedules/weekly': weekly });
    const typed = '--cron|0 6 * * 1|--zone|Asia/Tokyo|--catch-up|all|--catch-up-max|9|--jitter|1m|--overlap|queue';
    const more = ['--queue-max', '2', '--label', 'a:b', '--priority', '3', '--url', url];
    const { code, out } = await cli([
      'schedules',
      'put',
      'weekly',
      'report',
      '{"days":7}',
      ...typed.split('|'),
      ...more,
    ]);
    expect(code).toBe(0);
    expect(JSON.parse(asked[0]?.body ?? '')).toEqual({
      start: 'report',
      input: { days: 7 },
      cron: '0 6 * * 1',
      timeZone: 'Asia/Tokyo',
      catchUp: 'all',
      catchUpMax: 9,
      jitter: '1m',
      overlap: 'queue',
      queueMax: 2,
      labels: { a: 'b' },
      priority: 3,
    });
    expect(out.join('\n')).toContain('0 6 * * 1 (Asia/Tokyo)');
    expect(out.join('\n')).toContain('all, at most 9');
  });

  it('are listed, paused, resumed, started and deleted', async () => {
    const done = { id: 'weekly', outcome: 'done' };
    const { url, asked } = await serve({
      'GET /v1/schedules': { items: [weekly], next: null },
      'POST /v1/schedules/weekly/pause': done,
      'POST /v1/schedules/weekly/resume': done,
      'POST /v1/schedules/weekly/trigger': { id: 'run_2', state: 'queued', repeated: false, links: {} },
      'DELETE /v1/schedules/weekly': {},
    });
    const { out } = await cli(['schedules', 'list', '--url', url]);
    expect(out[1]).toMatch(/^weekly +report +0 6 \* \* 1 \(Asia\/Tokyo\) +2030-01-07T21:00:00.000Z +started/);
    await cli(['schedules', 'pause', 'weekly', '--reason', 'why', '--url', url]);
    await cli(['schedules', 'resume', 'weekly', '--url', url]);
    expect((await cli(['schedules', 'trigger', 'weekly', '--url', url])).out).toEqual(['run_2']);
    expect((await cli(['schedules', 'delete', 'weekly', '--url', url])).out).toEqual(['weekly  deleted']);
    expect(asked.map(({ request }) => request).slice(1)).toEqual([
      'POST /v1/schedules/weekly/pause',
      'POST /v1/schedules/weekly/resume',
      'POST /v1/schedules/weekly/trigger',
      'DELETE /v1/schedules/weekly',
    ]);
    expect(asked[1]?.body).toBe('{"reason":"why"}');
  });

  it('are not needed for one run, later', async () => {
    const started = { id: 'run_2', state: 'queued', repeated: false, links: {} };
    const { url, asked } = await serve({ 'POST /v1/workflows/report/runs': started });
    await cli(['run', 'report', '1', '--delay', '10m', '--url', url]);
    await cli(['run', 'report', '1', '--at', '2030-01-01T00:00:00Z', '--url', url]);
    expect(asked.map(({ request }) => request.split('?')[1])).toEqual([
      'delay=600000',
      `startAt=${encodeURIComponent('2030-01-01T00:00:00Z')}`,
    ]);
  });
});

describe('version', () => {
  it('is that of the package', async () => {
    const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
    const { version } = JSON.parse(text) as { version: string };
    expect((await cli(['version', '--json'])).out.join('')).toContain(`"version":"${version}"`);
  });
});
