import { afterEach, describe, expect, it } from 'vitest';
import type { RunHandle } from '../client/index.js';
import type { RunEventView } from '../protocol/http.js';
import { nodePorts } from '../runtime/index.js';
import type { StoreFactory } from '../store/factory.js';
import { createMemoryStore } from '../store/memory.js';
import { readExportedHistory, replayHistory } from '../worker/index.js';
import { capability, defineApp, Terminal, topic, workflow } from '../workflow/index.js';
import { createSpine, type Spine, type SpineOptions } from './create-spine.js';
import { memory } from './memory.js';

const seen = topic('seen', {});
const double = capability('double', {});
const answer = workflow('answer', {}, async (ctx, input) => {
  const doubled = await ctx.call(double, input);
  const at = await ctx.step('at', () => new Date(0));
  return { doubled, at };
});
const refuse = workflow('refuse', {}, () => {
  throw new Terminal('NOT_TODAY', { why: 'rain' });
});
const onSeen = workflow('on-seen', { on: seen }, (_, data) => data);
const unmanned = capability('unmanned');
const twice = workflow('twice', {}, async (ctx) => [await ctx.step('one', () => 1), await ctx.step('one', () => 1)]);
const asking = workflow('asking', {}, (ctx) => ctx.call(unmanned, null));
const app = defineApp({
  workflows: [answer, refuse, onSeen, twice, asking],
  capabilities: [unmanned],
  topics: [seen],
  handlers: [double.implement((n) => Number(n) * 2)],
});

const open: Spine<typeof app>[] = [];

afterEach(async () => {
  for (const spine of open.splice(0)) await spine.close();
});

function spineOf(options: Partial<SpineOptions> = {}): Spine<typeof app> {
  const spine = createSpine(app, { store: memory(), ...options });
  open.push(spine);
  return spine;
}

async function historyOf(run: RunHandle<unknown>): Promise<RunEventView[]> {
  const events: RunEventView[] = [];
  for await (const event of run.history()) events.push(event);
  return events;
}

/** A store at a place, as a file would be; counts how often it is opened. */
function placed(location: string): StoreFactory & { opened: number } {
  return {
    name: 'fake',
    location,
    opened: 0,
    open() {
      this.opened++;
      return Promise.resolve(createMemoryStore({ clock: nodePorts.clock }));
    },
  };
}

describe('createSpine', () => {
  it('runs a workflow with a call and a step in this process', async () => {
    const run = await spineOf().start('answer', 21);
    expect(await run.result()).toEqual({ doubled: 42, at: '1970-01-01T00:00:00.000Z' });
    expect((await run.status()).state).toBe('succeeded');
  });

  it('gives a body the large result of a step, and shows where it lies instead of it', async () => {
    const bytes = new Uint8Array(9 * 2 ** 20).fill(7);
    const large = workflow('large', {}, async (ctx) => {
      const made = await ctx.step('make', () => bytes);
      return { same: Buffer.compare(made, bytes) === 0, made };
    });
    const spine = createSpine(defineApp({ name: 'large', workflows: [large] }), { store: memory() });
    try {
      const run = await spine.start('large', null);
      expect(await run.result()).toEqual({ same: true, made: Buffer.from(bytes).toString('base64') });
      const step = (await historyOf(run)).find(({ type }) => type === 'step.completed');
      expect(step).toMatchObject({ blob: { size: 12_582_925 } });
      expect(step).not.toHaveProperty('payload');
    } finally {
      await spine.close();
    }
  });

  it('fails a step, a call and a run whose value is larger than may be kept, and says what to do', async () => {
    const blow = capability('blow', { retry: { attempts: 5, min: 1, max: 1 } });
    const steps = workflow('steps', {}, (ctx) => ctx.step('make', () => 'x'.repeat(1_000_000)));
    const calls = workflow('calls', {}, (ctx) => ctx.call(blow, null));
    const results = workflow('results', {}, () => 'x'.repeat(1_000_000));
    const named = defineApp({
      name: 'bounded',
      workflows: [steps, calls, results],
      handlers: [blow.implement(() => 'x'.repeat(1_000_000))],
    });
    const spine = createSpine(named, { store: memory(), engine: { valueBytesMax: 1_000_000 } });
    try {
      for (const name of ['steps', 'calls', 'results'] as const) {
        const run = await spine.start(name, null);
        await expect(run.result()).rejects.toThrow(/1000000 bytes/);
        expect((await run.status()).failure).toMatchObject({ code: 'VALUE_TOO_LARGE' });
        expect((await historyOf(run)).filter(({ type }) => type === 'call.retrying')).toEqual([]);
      }
    } finally {
      await spine.close();
    }
  });

  it('exports a run, with what is kept as blobs, so that it replays elsewhere', async () => {
    const large = workflow('large', {}, async (ctx) => (await ctx.step('text', () => 'x'.repeat(50_000))).length);
    const other = defineApp({ workflows: [large] });
    await using spine = createSpine(other, { store: memory() });
    const run = await spine.start('large', null);
    await run.result();
    const history = readExportedHistory(JSON.parse(JSON.stringify(await spine.runs.export(run.id))));
    expect(Object.values(history.blobs).map((text) => text.length)).toEqual([50_002]);
    expect(await replayHistory(other, history)).toMatchObject({ verdict: 'same', matched: 1 });
    await expect(spine.runs.export('run_none')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });

  it('opens nothing before it is used', async () => {
    const store = placed('lazy');
    const spine = spineOf({ store });
    expect(store.opened).toBe(0);
    await spine.close();
    expect(store.opened).toBe(0);
  });

  it('has the surface of the client: streams, history, lists, batches', async () => {
    const spine = spineOf();
    const outcomes = await spine.startMany('answer', [{ input: 1, labels: { order: '7' } }, { input: () => 1 }]);
    expect(outcomes.map((outcome) => outcome.tag)).toEqual(['started', 'error']);
    expect(outcomes[1]).toMatchObject({ error: { code: 'VALUE_UNSTORABLE' } });
    const [first] = outcomes;
    if (first?.tag !== 'started') throw new Error('the first was not started');
    const types: string[] = [];
    for await (const item of first.run.stream()) types.push(item.event === 'event' ? item.data.type : item.event);
    expect(types.find((type) => type !== 'state')).toBe('run.started');
    expect(types.at(-1)).toBe('end');
    const history = [];
    for await (const event of first.run.history()) history.push(event.seq);
    expect(history).toEqual(history.map((_, i) => i + 1));
    const found = [];
    for await (const run of spine.runs.list({ label: 'order:7' })) found.push(run.id);
    expect(found).toEqual([first.run.id]);
  });

  it('gives the same run for the same idempotency key', async () => {
    const spine = spineOf();
    const one = await spine.start('answer', 1, { idempotencyKey: 'größe' });
    const two = await spine.start('answer', 1, { idempotencyKey: 'größe' });
    expect([two.id, two.repeated]).toEqual([one.id, true]);
    await expect(spine.start('answer', 2, { idempotencyKey: 'größe' })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_KEY_REUSED',
    });
  });

  it('publishes, and says which runs that started', async () => {
    const spine = spineOf();
    await spine.open();
    const { runs } = await spine.publish('seen', { n: 1 }, { id: 'e1' });
    expect(await spine.run(runs[0] ?? '').result()).toEqual({ n: 1 });
    expect(await spine.publish('seen', { n: 1 }, { id: 'e1' })).toMatchObject({ duplicate: true });
  });

  it('rejects a result with what the run ended with', async () => {
    const run = await spineOf().start('refuse', null, { wait: '5s' });
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_REFUSED', problem: { data: { why: 'rain' } } });
  });

  it('says how to mend what Eventspine itself has refused a body', async () => {
    const run = await spineOf().start('twice', null);
    await expect(run.result()).rejects.toMatchObject({
      code: 'RUN_FAILED',
      mend:
        'Give each its own name, e.g. ["call", i] in a loop, or use ctx.map with a key. ' +
        'Then retry the run: it keeps what it has.',
    });
  });

  it('says that a call waits for a capability that nobody has', async () => {
    const spine = spineOf();
    const run = await spine.start('asking', null);
    for await (const item of run.stream()) if (item.event === 'event' && item.data.type === 'call.scheduled') break;
    expect((await run.status()).waitingFor).toMatchObject([
      { kind: 'call', path: 'unmanned', text: 'No connected worker has capability unmanned.' },
    ]);
    await run.cancel();
  });

  it('gives up waiting when the signal says so', async () => {
    const spine = spineOf({ worker: false });
    const run = await spine.start('answer', 1);
    const controller = new AbortController();
    const result = run.result({ signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(result).rejects.toThrow('enough');
  });

  it('answers HTTP requests under its base path', async () => {
    const spine = spineOf({
      server: { basePath: '/spine', authorize: () => ({ tenant: 'default', user: 'x', roles: [] }) },
    });
    const response = await spine.fetch(
      new Request('http://app.example/spine/v1/workflows/answer/runs', {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'wait=5' },
        body: '2',
      }),
    );
    expect([response.status, await response.json()]).toEqual([200, { doubled: 4, at: '1970-01-01T00:00:00.000Z' }]);
    const { links } = await spine.run(response.headers.get('location')?.split('/').at(-1) ?? '').status();
    expect(links.self).toMatch(/^\/spine\/v1\/runs\//);
  });

  it('listens for clients elsewhere', async () => {
    const spine = spineOf({ server: { port: 0 } });
    const { url } = await spine.listen();
    const health: unknown = await (await fetch(`${url}/health/ready`)).json();
    expect(health).toMatchObject({ status: 'ok' });
  });

  it('lets a second spine on the same place take over, without opening it twice', async () => {
    const store = placed('shared');
    const one = spineOf({ store });
    await one.start('answer', 1);
    const later = workflow('later', {}, () => 'new code');
    const two = createSpine(defineApp({ workflows: [later, answer] }), { store });
    const run = await two.start('later', null);
    expect(await run.result()).toBe('new code');
    expect(store.opened).toBe(1);
    await one.close();
    expect((await two.health()).status).toBe('ok');
    await two.close();
    await expect(two.runs.get(run.id)).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
    await expect(two.start('later', null)).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  });

  it('reports every fault of its options at once', () => {
    const options = { store: {}, wroker: true } as unknown as SpineOptions;
    expect(() => createSpine(app, options)).toThrow(/wroker is not an option.*store must be a store/);
  });
});
