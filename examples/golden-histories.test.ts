/**
 * Golden histories: what the examples and templates recorded once replays on the code of today. A stored history is never
 * made anew to please a test: runs like it may sleep in somebody's store. `EVENTSPINE_WRITE_HISTORIES=1` writes those that
 * are missing.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AnyApp, type Ctx, dag, defineApp, workflow } from 'eventspine';
import { type ExportedHistory, readExportedHistory, replayHistory, testSpine } from 'eventspine/testing';
import { describe, expect, it } from 'vitest';
import { scenes, type Scene } from './golden-scenes.ts';

const place = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

function stored(file: string): ExportedHistory {
  return readExportedHistory(JSON.parse(readFileSync(place(file), 'utf8')));
}

/** What came of a scene. */
interface Played {
  readonly history: ExportedHistory;
  /** The run waits, or ended like this. */
  readonly end: unknown;
  /** How often the code of each step and call of all runs was begun. */
  readonly executions: Readonly<Record<string, number>>;
  readonly crashes: number;
}

async function played({ app, options, play }: Scene<AnyApp>, crash?: 'every-await'): Promise<Played> {
  await using t = await testSpine(app, { ...options(), ...(crash === undefined ? {} : { crash }) });
  const run = await play(t);
  const executions: Record<string, number> = {};
  for (const { id, workflow: name } of await t.runs())
    for (const [path, count] of await t.executions(id))
      executions[`${name} ${path}`] = (executions[`${name} ${path}`] ?? 0) + count;
  // A run that went on as another has no end yet.
  const isOver = ['succeeded', 'failed', 'refused', 'cancelled'].includes((await t.view(run)).state);
  return {
    history: await t.exportHistory(run),
    end: isOver ? await t.outcome(run) : 'waits',
    executions,
    crashes: t.crashes,
  };
}

function workflowOf({ events: [first] }: ExportedHistory): string {
  if (first?.type !== 'run.started') throw new Error('a history begins with its start');
  return first.data.workflow;
}

/** What a run has done, in whichever order. */
function unitsOf({ events }: ExportedHistory): string[] {
  return events
    .filter(({ type }) =>
      /^(step|call|timer|race|wait|approval|node|child|signal|stream)\.|^event\.|^run\.(succeeded|failed|refused|continued)/.test(
        type,
      ),
    )
    .map(({ type, data }) => `${type} ${'path' in data ? String(data.path) : ''}`)
    .toSorted();
}

/** The app of somebody who has changed what each step of a body is, under live runs. */
function withSteps(app: AnyApp, step: (ctx: Ctx, name: string, rest: readonly unknown[]) => unknown): AnyApp {
  const edited = (ctx: Ctx): Ctx =>
    new Proxy(ctx, {
      get(target, name) {
        const found: unknown = Reflect.get(target, name, target);
        if (typeof found !== 'function') return found;
        if (name !== 'step') return (found as (...given: unknown[]) => unknown).bind(target);
        return (first: unknown, ...rest: unknown[]): unknown => step(target, String(first), rest);
      },
    });
  const workflows = app.workflows.map((one) =>
    workflow(one.name, one.version === null ? {} : { version: one.version }, async (ctx, input) =>
      one.body(edited(ctx), input),
    ),
  );
  return defineApp({ name: app.name, workflows, topics: app.topics, capabilities: app.capabilities });
}

const sameStep = (ctx: Ctx, name: string, rest: readonly unknown[]): unknown =>
  (ctx.step as (...given: unknown[]) => unknown).call(ctx, name, ...rest);

/** The edits that a step can suffer, and what is said of each. */
const edits = [
  { edit: 'was renamed', step: (ctx, name, rest) => sameStep(ctx, `${name}-renamed`, rest), says: ['renamed'] },
  // What comes after it is told by its absence, or fails for want of its result.
  { edit: 'was removed', step: () => undefined, says: ['removed', 'end', 'unreached'] },
  { edit: 'is of another kind', step: (ctx, name) => ctx.sleep(name, '1s'), says: ['changed'] },
] as const satisfies readonly { edit: string; step: Parameters<typeof withSteps>[1]; says: readonly string[] }[];

if (process.env['EVENTSPINE_WRITE_HISTORIES'] === '1') {
  for (const one of scenes.filter(({ file }) => !existsSync(place(file)))) {
    mkdirSync(dirname(place(one.file)), { recursive: true });
    writeFileSync(place(one.file), `${JSON.stringify((await played(one)).history, null, 2)}\n`);
  }
}

describe('golden histories', () => {
  it('are there for every workflow of every example and template', () => {
    const told = new Set(scenes.map(({ file, app }) => `${app.name}/${workflowOf(stored(file))}`));
    const all = scenes.flatMap(({ app }) => app.workflows.map(({ name }) => `${app.name}/${name}`));
    // Each one is another scene, and a run of this file with EVENTSPINE_WRITE_HISTORIES=1.
    expect(all.filter((name) => !told.has(name))).toEqual([]);
  });

  it('know every app that there is', () => {
    const played = readFileSync(place('golden-scenes.ts'), 'utf8');
    const files = ['.', '../templates'].flatMap((folder) =>
      readdirSync(place(folder), { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`),
    );
    const apps = files.filter(
      (file) =>
        /(?<!\.test)\.ts$/.test(file) && readFileSync(place(file), 'utf8').includes('export const app = defineApp('),
    );
    expect(apps.length).toBeGreaterThan(12);
    expect(apps.filter((file) => !played.includes(`from '${file}'`))).toEqual([]);
  });

  describe.each(scenes.map((one) => [one.file, one] as const))('%s', (file, one) => {
    it('replays on the code of today', async () => {
      expect(await replayHistory(one.app, stored(file))).toMatchObject({ verdict: 'same', changes: [] });
    });

    it('comes about again, and in the same way when the body dies at every await', async () => {
      const [calm, crashed] = [await played(one), await played(one, 'every-await')];
      expect(unitsOf(calm.history)).toEqual(unitsOf(stored(file)));
      expect(unitsOf(crashed.history)).toEqual(unitsOf(stored(file)));
      expect(crashed.end).toEqual(calm.end);
      expect(crashed.crashes > 0).toBe(one.isGraph !== true);
    });

    it('asks the world outside for each effect one time, whenever the body dies', async () => {
      expect((await played(one, 'every-await')).executions).toEqual((await played(one)).executions);
    });
  });

  it('tell of a graph that has become a body, and of a body that has become a graph', async () => {
    const graph = scenes.find(({ isGraph }) => isGraph);
    const [body] = scenes;
    if (graph === undefined || body === undefined) throw new Error('there is one of each');
    const change = { verdict: 'breaking', changes: [{ kind: 'missing' }] };
    const { name } = graph.app.workflows[0] ?? {};
    const asBody = defineApp({ name: 'x', workflows: [workflow(name ?? '', {}, () => undefined)] });
    expect(await replayHistory(asBody, stored(graph.file))).toMatchObject(change);
    const asGraph = defineApp({ name: 'x', workflows: [dag('hello', { nodes: { only: { run: () => 1 } } })] });
    expect(await replayHistory(asGraph, stored(body.file))).toMatchObject(change);
  });

  it.each(edits)('tell of a step that $edit', async ({ step, says }) => {
    let seen = 0;
    for (const { app, file } of scenes) {
      // What the handler of an agent has done is not asked for again once its message is handled.
      if (app.workflows.length === 0) continue;
      const history = stored(file);
      // What is edited is what the body itself asks for.
      const isOwnStep = (event: ExportedHistory['events'][number]): boolean =>
        event.type === 'step.completed' && !event.data.path.includes('/');
      if (!history.events.some(isOwnStep)) continue;
      const { verdict, changes } = await replayHistory(withSteps(app, step), history);
      const kinds = changes.map(({ kind }) => kind);
      expect({ file: basename(file), verdict, kinds }).toSatisfy(
        () => verdict !== 'same' && says.some((kind) => kinds.some((found) => found === kind)),
      );
      seen += 1;
    }
    expect(seen).toBeGreaterThan(6);
  });
});
