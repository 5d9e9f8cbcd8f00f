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
  waits: false,
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
};
const seeds = Array.from({ length: 80 }, (_, i) => i + 1);
const crashSeeds = seeds.slice(0, 25);

/** Effects take no time and fail as often as the program says. */
const app = programApp(async (node, { attempt }) => {
  await Promise.resolve();
  if (attempt <= node.fails) throw providerError();
});

function programOf(seed: number, rest: Pick<ProgramTaste, 'races'>): Program {
  return makeProgram(new Prng(`kit/${seed}`), { ...taste, ...rest });
}

interface Told {
  readonly history: ExportedHistory;
  readonly outcome: unknown;
  readonly crashes: number;
}

async function ran(program: Program, options: TestSpineOptions): Promise<Told> {
  await using t = await testSpine(app, options);
  // The app of the simulator has lost its types on the way.
  const run = await t.start('program' as never, program as never);
  const outcome = await t.outcome(run);
  return { history: await t.exportHistory(run), outcome, crashes: t.crashes };
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

it('leaves a history that replays the same from any part of it', async () => {
  for (const seed of seeds) {
    const { history } = await ran(programOf(seed, { races: true }), { seed, crash: seed });
    for (let length = 1; length <= history.events.length; length++) {
      const part = { ...history, events: history.events.slice(0, length) };
      const { verdict, changes } = await replayHistory(app, part);
      // That a body throws something of its own in the moment after its last result nobody could know before.
      const isThrown = length < history.events.length && changes.every(({ kind }) => kind === 'end');
      if (isThrown && history.events.at(-1)?.type === 'run.failed') continue;
      expect([seed, length, verdict, changes.map(({ text }) => text)]).toEqual([seed, length, 'same', []]);
    }
  }
}, 60_000);
