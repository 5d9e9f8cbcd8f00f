// An application whose runs die until a file is there: `dead-letters.mjs <store> <file> <runs>`. Each execution of a step is
// written down beside the file.
import { appendFileSync, existsSync } from 'node:fs';
import { createSpine } from '../../../dist/spine/index.js';
import { sqlite } from '../../../dist/stores/sqlite/index.js';
import { defineApp, workflow } from '../../../dist/workflow/index.js';

const [, , file, mended, runs] = process.argv;
const note = (run, step) => appendFileSync(`${mended}.executions`, `${run} ${step}\n`);

const fragile = workflow('fragile', {}, async (ctx) => {
  await ctx.step('first', () => note(ctx.run.id, 'first'));
  await ctx.step('second', () => {
    if (!existsSync(mended)) throw Object.assign(new Error('The provider is down.'), { retryable: false });
    note(ctx.run.id, 'second');
  });
});

const spine = createSpine(defineApp({ workflows: [fragile] }), { store: sqlite({ file }), server: { port: 0 } });
await spine.open();
for (let i = 0; i < Number(runs); i++) await spine.start('fragile', i);
console.log(`ready ${(await spine.listen()).url}`);
// An idle spine does not keep its process alive; an application would.
setInterval(() => undefined, 1_000);
