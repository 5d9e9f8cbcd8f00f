/** Consumers in processes of their own, killed and frozen at work, and their server killed: no event is lost, and none is settled twice. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { createClient, type CloudEvent } from '../../src/client/index.js';
import { freePort } from '../support/free-port.js';
import { endAll, nightly, script, type Child } from './support/processes.js';
import { until } from './support/until.js';

const folder = mkdtempSync(join(tmpdir(), 'eventspine-consumers-'));
const notes = join(folder, 'notes');
const count = nightly ? 5_000 : 240;
const faults = nightly ? 50 : 6;

afterEach(async () => {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
});

function notesOf(what: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of readFileSync(notes, { encoding: 'utf8', flag: 'a+' }).split('\n')) {
    const [word, id] = line.split(' ');
    if (word === what && id !== undefined) found.set(id, (found.get(id) ?? 0) + 1);
  }
  return found;
}

it('are killed and frozen at work, and every event is settled once', async () => {
  const port = String(await freePort());
  const serve = async (): Promise<Child> => {
    const child = script('topic-server.mjs', [join(folder, 'spine.db'), port], {});
    await child.line((line) => line.startsWith('ready'));
    return child;
  };
  let server = await serve();
  const url = `http://127.0.0.1:${port}`;
  const client = createClient({ url });
  const events = Array.from({ length: count }, (_, i): CloudEvent => {
    const data = { key: `k${i % 20}` };
    return { specversion: '1.0', id: `e${i}`, source: 'test', type: 'noted', data };
  });
  await client.publishMany('noted', events);
  let names = 0;
  const consume = (): Child => script('consumer.mjs', [url, `c${++names}`, notes], {});
  const consumers = [consume(), consume(), consume()];
  await Promise.all(consumers.map((child) => child.line((line) => line === 'ready')));
  let kills = 0;
  let freezes = 0;
  // Faults go by how far the work is, so that there is always some of it under way.
  for (let step = 1; step <= faults; step++) {
    await until(`fault ${step}`, async () =>
      notesOf('settled').size >= ((step - 0.5) * count) / (faults + 1) ? true : null,
    );
    const at = step % consumers.length;
    const child = consumers[at];
    if (child === undefined) throw new Error('there is no consumer');
    if (step % 3 === 0) {
      await child.freeze();
      freezes += 1;
      // Longer than its lease: it comes back when others have what it had.
      setTimeout(() => child.thaw(), 1_600);
    } else {
      await child.kill();
      kills += 1;
      consumers[at] = consume();
    }
    if (step === faults / 2 + 1) {
      await server.kill();
      server = await serve();
    }
  }
  const end = await until('the end of the work', async () => {
    const view = await client.subscriptions.get('group');
    return view.lag === 0 ? view : null;
  });
  const [worked, settled, fenced] = [notesOf('worked'), notesOf('settled'), notesOf('fenced')];
  expect(end.partitions.reduce((sum, { next }) => sum + next, 0)).toBe(count);
  expect(worked.size).toBe(count);
  expect([...settled].filter(([, times]) => times > 1)).toEqual([]);
  // Of one that was killed between the answer and the note nobody knows but the server.
  expect(settled.size).toBeGreaterThanOrEqual(count - kills - 1);
  expect((await client.deadEvents.list().page()).items).toEqual([]);
  expect(kills + freezes).toBe(faults);
  console.log(`${count} events, ${kills} kills, ${freezes} freezes, ${fenced.size} words refused`);
});
