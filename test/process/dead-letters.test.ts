/** A redrive of many whose server is killed in the midst of it: it goes on, each letter is sent back once, nothing is done twice. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createClient, type Client, type RedriveView } from '../../src/client/index.js';
import { endAll, script, type Child } from './support/processes.js';
import { until } from './support/until.js';

const folder = mkdtempSync(join(tmpdir(), 'eventspine-letters-'));
const mended = join(folder, 'mended');
const letters = 60;

afterEach(async () => {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
});

async function life(runs: number): Promise<{ readonly child: Child; readonly client: Client }> {
  const child = script('dead-letters.mjs', [join(folder, 'spine.db'), mended, String(runs)], {});
  const url = (await child.line((line) => line.startsWith('ready'))).slice('ready '.length);
  return { child, client: createClient({ url }) };
}

async function redriven(client: Client, id: string, count: number): Promise<RedriveView> {
  return until(`${count} letters redriven`, async () => {
    const view = await client.redrives.get(id);
    return view.redriven >= count ? view : null;
  });
}

describe('a redrive of many', () => {
  it('outlives its server, sends each letter back once, and repeats no finished step', async () => {
    let { child, client } = await life(letters);
    await until('dead letters', async () => ((await client.deadLetters.count({})).count === letters ? true : null));
    writeFileSync(mended, '');
    const { id, total } = await client.redrives.begin({ filter: {}, ratePerSecond: 40, reason: 'it is back' });
    expect(total).toBe(letters);
    for (const count of [1, 25]) {
      await redriven(client, id, count);
      await child.kill('SIGKILL');
      ({ child, client } = await life(0));
    }
    const done = await until('the end of the redrive', async () => {
      const view = await client.redrives.get(id);
      return view.state === 'done' ? view : null;
    });
    expect(done).toMatchObject({ redriven: letters, gone: 0, refused: 0, reason: 'it is back' });
    await until('the end of all runs', async () =>
      (await client.runs.list({ state: 'succeeded', limit: 500 }).page()).items.length === letters ? true : null,
    );
    const seconds = new Map<string, number>();
    for (const line of readFileSync(`${mended}.executions`, 'utf8').trim().split('\n'))
      seconds.set(line, (seconds.get(line) ?? 0) + 1);
    const { items } = await client.runs.list({ limit: 500 }).page();
    for (const { id: run } of items) {
      const history = (await client.runs.history(run).page()).items;
      const sent = history.filter(({ type }) => type === 'run.redriven');
      expect(sent.map(({ data }) => (data as { readonly bulk: string }).bulk)).toEqual([id]);
      expect(seconds.get(`${run} first`)).toBe(1);
    }
    expect((await client.deadLetters.count({})).count).toBe(0);
  });
});
