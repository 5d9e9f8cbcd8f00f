/** What was: a run after one of its events, the fleet at an instant, and a topic through a new version. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finished } from '../support/finished.js';
import { endAll } from '../support/processes.js';
import { until } from '../support/until.js';
import { jsonLines, listening, Project } from './project.js';

describe('time travel by command', () => {
  let project: Project;
  let url: string;
  let run: string;
  let before: string;

  const cli = (...args: string[]): Promise<Finished> => project.run(...args, '--url', url);

  async function json(...args: string[]): Promise<Record<string, unknown>[]> {
    const result = await cli(...args, '--json');
    expect(result.stderr).toBe('');
    return jsonLines(result.stdout);
  }

  beforeAll(async () => {
    project = new Project({ files: ['scored.mjs', 'scored-2.mjs'] });
    url = await listening(project.begin(['serve', '--port', '0', '--store', 'spine.db', '--json']));
    project.begin(['worker', 'scored.mjs', '--url', url, '--json']);
    await until('the worker is there', async () => (await json('workers'))[0] ?? null);
    before = new Date().toISOString();
    for (const amount of [1, 4, 9]) await cli('publish', 'ordered', JSON.stringify({ amount }));
    const runs = await until('the runs have ended', async () => {
      const found = await json('runs', 'list', '--state', 'succeeded');
      return found.length === 3 ? found : null;
    });
    run = String(runs[0]?.['id']);
  });

  afterAll(async () => {
    await endAll();
    project.remove();
  });

  it('shows a run as it was after one of its events', async () => {
    const [first] = await json('runs', 'show', run, '--at', '1');
    expect(first).toMatchObject({ id: run, events: 1, state: 'queued', steps: [] });
    const [now] = await json('runs', 'show', run);
    expect(now).toMatchObject({ state: 'succeeded' });
    const none = await cli('runs', 'show', run, '--at', '900');
    expect(none.stderr).toContain('RUN_EVENT_NOT_FOUND');
    expect((await cli('runs', 'show', run, '--at', 'yesterday')).stderr).toContain('neither an instant');
  });

  it('shows the fleet now, and as it was at an instant', async () => {
    const [now] = await json('fleet');
    expect(now).toMatchObject({
      gap: null,
      runs: [{ workflow: 'score', status: 'succeeded', count: 3 }],
      topics: [{ topic: 'ordered', events: 3 }],
    });
    expect((await json('fleet', '--at', before))[0]).toMatchObject({ runs: [], topics: [] });
    expect((await json('fleet', '--at', String(now?.['position'])))[0]).toEqual(now);
    expect((await cli('fleet')).stdout).toMatch(/score +succeeded +3/);
  });

  it('replays a topic through a new version, and says where it comes to something else', async () => {
    const same = await cli('topics', 'shadow', 'scored.mjs', 'ordered');
    expect(same).toMatchObject({ code: 0, stdout: 'Of 3 events, 3 come to the same.\n' });
    const other = await cli('topics', 'shadow', 'scored-2.mjs', 'ordered', '--from', '1h');
    expect(other.code).toBe(1);
    expect(other.stdout).toContain('Of 3 events, 2 come to the same, 1 come to something else.');
    expect(other.stdout).toContain(
      'another value: {"score":27,"kept":"kept 18"} instead of {"score":18,"kept":"kept 18"}',
    );
    expect((await cli('topics', 'shadow', 'scored-2.mjs', 'ordered', '--from', before, '--to', before)).stdout).toBe(
      'No run of these events is kept.\n',
    );
  });
});
