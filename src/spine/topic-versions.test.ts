/** Topics whose schema has versions, over a whole spine: what is refused, recorded and read, and under which version. */
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { schemaUri } from '../core/schema/schema-id.js';
import {
  createSpine,
  defineApp,
  memory,
  signal,
  subscription,
  topic,
  workflow,
  type AnyApp,
  type Spine,
} from './index.js';

const v1 = z.object({ id: z.string(), name: z.string() });
const v2 = z.object({ id: z.string(), first: z.string(), last: z.string().optional() });
const v3 = z.object({ id: z.string(), first: z.string(), last: z.string().optional(), age: z.number().optional() });

const first = topic('person', { versions: { 1: v1 }, key: 'id' });
const second = topic('person', {
  versions: {
    1: v1,
    2: {
      schema: v2,
      up: ({ id, name }) => {
        const [given = '', last] = name.split(' ');
        if (given === 'crash') throw new Error('cannot be split');
        return { id, first: given, ...(last === undefined ? {} : { last }) };
      },
    },
    3: v3,
  },
  key: 'id',
});
const go = signal('go');

const opened: Spine<AnyApp>[] = [];
afterEach(async () => {
  for (const spine of opened.splice(0)) await spine.close();
});

/** Greets on each event; waits first, so that its body can move on to other code meanwhile. */
function appOf(on: typeof first | typeof second): AnyApp {
  const greet = workflow('greet', { on: on as typeof second }, async (ctx, person) => {
    await ctx.waitFor(go);
    return person;
  });
  const meet = workflow('meet', {}, async (ctx) => {
    const met = await ctx.waitFor(on as typeof second, { match: { id: 'b' } });
    return met?.data ?? null;
  });
  return defineApp({ workflows: [greet, meet], topics: [on] });
}

function open(app: AnyApp): Spine<AnyApp> {
  const spine = createSpine(app, { store: memory() });
  opened.push(spine);
  return spine;
}

describe('a topic whose schema has versions', () => {
  it('has events read by the newest version, whatever they were written under', async () => {
    const spine = open(appOf(second));
    const old = await spine.publish('person', { id: 'a', name: 'Ada Lovelace' }, { version: 1 });
    const fresh = await spine.publish('person', { id: 'b', first: 'Bo' });
    for (const [run = ''] of [old.runs, fresh.runs]) await spine.signal(run, go);
    const [a, b] = [spine.run(old.runs[0] ?? ''), spine.run(fresh.runs[0] ?? '')];
    expect(await a.result()).toEqual({ id: 'a', first: 'Ada', last: 'Lovelace' });
    expect(await b.result()).toEqual({ id: 'b', first: 'Bo' });
    const events = [];
    for await (const { event } of spine.topics.events('person')) events.push(event['dataschema']);
    expect(events.map((one) => String(one).replace(/[0-9a-f]{16}$/, ''))).toEqual([
      'urn:eventspine:schema:person%2F1%40',
      'urn:eventspine:schema:person%2F3%40',
    ]);
  });

  it('takes old data of publishers that do not say so for what it fits', async () => {
    const spine = open(appOf(second));
    const meet = await spine.start('meet', {});
    await spine.publish('person', { id: 'b', name: 'Bo Diddley' });
    expect(await meet.result()).toEqual({ id: 'b', first: 'Bo', last: 'Diddley' });
  });

  it('refuses what fits no version, with every fault named', async () => {
    const spine = open(appOf(second));
    const refusal = spine.publish('person', { id: 1, age: 'old', colour: 'red' } as never);
    await expect(refusal).rejects.toMatchObject({ code: 'INPUT_INVALID' });
    const message = await refusal.catch((error: unknown) => String(error));
    for (const fault of ['/id must be string', "'first'", '/age must be number', 'colour is not known'])
      expect(message).toContain(fault);
    await expect(spine.publish('person', { id: 'a', name: 'Ada' }, { version: 7 })).rejects.toThrow(
      'version 7 of its schema is not known here; known: 1, 2, 3',
    );
    await expect(
      spine.publish('person', {
        specversion: '1.0',
        id: 'x',
        source: 'test',
        type: 'person',
        dataschema: schemaUri('person/1@0000000000000000'),
        data: { id: 'a', name: 'Ada' },
      }),
    ).rejects.toThrow('version 1 of its schema is another one here');
  });

  it('makes a dead letter of class poison of an event that cannot be read, and tries it no more', async () => {
    const spine = open(appOf(second));
    const { runs } = await spine.publish('person', { id: 'a', name: 'crash' }, { version: 1 });
    await expect(spine.run(runs[0] ?? '').result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    const letters = [];
    for await (const letter of spine.deadLetters.list()) letters.push(letter);
    expect(letters).toHaveLength(1);
    expect(letters[0]).toMatchObject({ class: 'poison' });
    expect(JSON.stringify(letters[0])).toContain('its upcaster threw: cannot be split');
  });

  it('has subscriptions start runs with what the newest version makes of an event', async () => {
    const file = workflow('file', { input: v3 }, async (_ctx, person) => Promise.resolve(person));
    const folk = subscription('folk', { topic: second, from: 'oldest', start: file });
    const spine = open(defineApp({ workflows: [file], topics: [second], subscriptions: [folk] }));
    await spine.publish('person', { id: 'a', name: 'Ada Lovelace' }, { version: 1 });
    const results = async (): Promise<unknown[]> => {
      const found: unknown[] = [];
      for await (const { id, state } of spine.runs.list({ workflow: 'file' }))
        if (state === 'succeeded') found.push(await spine.run(id).result());
      return found;
    };
    await expect.poll(results, { timeout: 5_000 }).toEqual([{ id: 'a', first: 'Ada', last: 'Lovelace' }]);
  });

  it('is refused where another build changes it in a way that old events do not survive', async () => {
    const spine = open(appOf(first));
    const changed = topic('person', { versions: { 1: v1.extend({ born: z.number() }) } });
    await expect(spine.deploy(defineApp({ topics: [changed] }).manifest)).rejects.toMatchObject({
      code: 'DEFINITION_INVALID',
    });
    const breaking = topic('person', { versions: { 1: v1, 2: v2 } });
    await expect(spine.deploy(defineApp({ topics: [breaking] }).manifest)).rejects.toThrow(
      'version 2 cannot be shown to read what version 1 wrote: first is required in version 2',
    );
    expect(await spine.deploy(appOf(second).manifest, { dryRun: true })).toMatchObject({ outcome: 'planned' });
  });

  it('takes unknown fields out where it is told to strip them, dates and all', async () => {
    const stripping = topic('seen', {
      schema: z.object({ at: z.any(), inner: z.object({ n: z.number() }) }),
      unknown: 'strip',
    });
    const emit = workflow('emit', {}, async (ctx) => {
      await ctx.emit(stripping, { at: new Date(5), extra: 1, inner: { n: 1, more: [2] } } as never);
    });
    const keep = workflow('keep', { on: stripping }, async (_ctx, data) => Promise.resolve(data));
    const spine = open(defineApp({ workflows: [emit, keep], topics: [stripping] }));
    await (await spine.start('emit', {})).result();
    const kept = [];
    for await (const { event } of spine.topics.events('seen')) kept.push(event['data']);
    expect(kept).toEqual([{ at: '1970-01-01T00:00:00.005Z', inner: { n: 1 } }]);
  });
});
