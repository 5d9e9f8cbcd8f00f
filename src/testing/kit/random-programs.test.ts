/**
 * The kit against bodies of any shape, those of the simulator: crashes change no outcome, and a history replays the same
 * on its own code, wherever it is cut off.
 */
import { expect, it } from 'vitest';
import { replayHistory } from '../../worker/index.js';
import { Prng } from '../simulator/prng.js';
import { programApp, providerError } from '../simulator/program-app.js';
import { makeProgram, type Program, type ProgramTaste } from '../simulator/program.js';
import { testSpine, type TestSpineOptions } from './test-spine.js';
import type { ExportedHistory } from '../../core/run/exported-history.js';

const taste = {
  waits: true,
  maps: true,
  calls: true,
  sleeps: true,
  emits: true,
  children: true,
  chains: true,
  sagas: true,
  streams: true,
  failures: true,
  poison: false,
  inferences: true,
  caches: false,
  // What is ambiguous in them depends on where they die.
  ai: false,
  remedies: true,
};
const seeds = Array.from({ length: 80 }, (_, i) => i + 1);
const crashSeeds = seeds.slice(0, 25);

/** Effects take no time and fail as often as the program says. */
const app = programApp(async (node, { kind, attempt, idempotencyKey }) => {
  await Promise.resolve();
  // A provider is not told which attempt it is.
  if (kind !== 'infer' && attempt <= node.fails) throw providerError();
  return idempotencyKey;
});

function programOf(seed: number, rest: Pick<ProgramTaste, 'races'> & Partial<ProgramTaste>): Program {
  return makeProgram(new Prng(`kit/${seed}`), { ...taste, ...rest });
}

interface Told {
  /** Of the run, and of all runs that came of it. */
  readonly histories: readonly ExportedHistory[];
  readonly outcome: unknown;
  readonly crashes: number;
}

async function ran(program: Program, options: TestSpineOptions): Promise<Told> {
  await using t = await testSpine(app, options);
  // The app of the simulator has lost its types on the way.
  const run = await t.start('program' as never, program as never);
  const outcome = await t.outcome(run);
  const histories: ExportedHistory[] = [];
  for (const { id } of await t.runs()) histories.push(await t.exportHistory(id));
  return { histories, outcome, crashes: t.crashes };
}

it('comes to the same end, whenever the body dies', async () => {
  let crashes = 0;
  for (const seed of crashSeeds) {
    // Who wins a race is a matter of what is committed first, which crashes may change.
    const program = programOf(seed, { races: false });
    const calm = await ran(program, { seed });
    for (const crash of ['every-await', seed] as const) {
      const told = await ran(program, { seed, crash });
      expect([seed, crash, told.outcome]).toEqual([seed, crash, calm.outcome]);
      crashes += told.crashes;
    }
  }
  expect(crashes).toBeGreaterThan(crashSeeds.length);
}, 60_000);

it('leaves histories that replay the same from any part of them', async () => {
  const ends = new Set<string>();
  for (const seed of seeds) {
    const { histories } = await ran(programOf(seed, { races: true }), { seed, crash: seed });
    for (const history of histories) {
      const last = history.events.at(-1)?.type ?? '';
      ends.add(last);
      for (let length = 1; length <= history.events.length; length++) {
        const part = { ...history, events: history.events.slice(0, length) };
        const { verdict, changes } = await replayHistory(app, part);
        // That a body throws something of its own in the moment after its last result nobody could know before.
        const isThrown = length < history.events.length && changes.every(({ kind }) => kind === 'end');
        if (isThrown && last === 'run.failed') continue;
        expect([seed, length, verdict, changes.map(({ text }) => text)]).toEqual([seed, length, 'same', []]);
      }
    }
  }
  // Chains, and children that were given up, among them.
  expect([...ends]).toEqual(
    expect.arrayContaining(['run.succeeded', 'run.failed', 'run.refused', 'run.continued', 'run.cancelled']),
  );
}, 60_000);
