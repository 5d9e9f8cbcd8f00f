// Prints every run id that the store holds, and what the doctor finds. `reader.mjs <file>`.
import { createEngine } from '../../../dist/engine/index.js';
import { nodePorts } from '../../../dist/runtime/index.js';
import { sqlite } from '../../../dist/stores/sqlite/index.js';

const store = await sqlite({ file: process.argv[2] }).open();
let cursor;
do {
  const page = await store.listRuns({ tenant: 'default', limit: 500, ...(cursor === undefined ? {} : { cursor }) });
  for (const row of page.items) console.log(`run ${row.run}`);
  cursor = page.next ?? undefined;
} while (cursor !== undefined);
const engine = createEngine({ store, ports: nodePorts });
const report = await engine.doctor();
for (const check of report.checks)
  for (const violation of check.violations)
    console.log(`violation ${check.property} ${violation.subject} ${violation.detail}`);
await engine.stop();
console.log('end');
