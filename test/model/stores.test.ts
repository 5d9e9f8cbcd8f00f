/** Every store does what a plain model of maps does, under any sequence of commands; a failure shrinks to the shortest. */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { createMemoryStore } from '../../src/store/index.js';
import type { Clock } from '../../src/core/ports.js';
import type { Store } from '../../src/store/index.js';
import { createSqliteMemoryStore } from '../../src/stores/sqlite/index.js';
import { manualClock } from '../../src/testing/conformance/index.js';
import { PlainStore } from './plain-store.js';
import { begin, lastLook, storeCommands } from './store-commands.js';

const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';

const stores: readonly {
  readonly name: string;
  readonly open: (clock: Clock) => Promise<Store>;
  readonly runs: number;
}[] = [
  { name: 'memory', open: async (clock) => createMemoryStore({ clock }), runs: nightly ? 20_000 : 1_500 },
  { name: 'sqlite', open: (clock) => createSqliteMemoryStore({ clock }), runs: nightly ? 5_000 : 300 },
];

describe.each(stores)('the $name store', ({ open, runs }) => {
  it('does what the plain model does', { timeout: nightly ? 30 * 60_000 : 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(storeCommands, async (commands) => {
        const clock = manualClock();
        const real = { store: await open(clock), clock };
        const model = new PlainStore(clock.now());
        try {
          await begin(model, real);
          await fc.asyncModelRun(() => ({ model, real }), commands);
          await lastLook.run(model, real);
        } finally {
          await real.store.close();
        }
      }),
      { numRuns: runs },
    );
  });
});
