// Prints every run id that the store holds, and what the doctor finds. `reader.mjs <file or URL>`.
import { createEngine } from '../../../dist/engine/index.js';
import { nodePorts } from '../../../dist/runtime/index.js';
import { openStore } from './store.mjs';

const store = await openStore(process.argv[2]);
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
