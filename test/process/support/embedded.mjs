// An application with the spine in its own process: `embedded.mjs <file> <runs>`. Starts that many runs, says their
// ids, and goes on with whatever an earlier life has left.
import { createSpine } from '../../../dist/spine/index.js';
import { sqlite } from '../../../dist/stores/sqlite/index.js';
import { app } from './app.mjs';

const [, , file, runs] = process.argv;
const spine = createSpine(app, { store: sqlite({ file }), server: { port: 0 } });
await spine.open();
console.log(`ready ${(await spine.listen()).url}`);
for (let i = 0; i < Number(runs); i++) {
  const run = await spine.start('chain', { value: i });
  // Said only when it is accepted: from here on it must never be lost.
  console.log(`run ${run.id}`);
}
// An idle spine does not keep its process alive; an application would.
setInterval(() => undefined, 1_000);
