/**
 * Runs simulations from the command line:
 *
 *     node --import tsx test/simulation/main.ts --seed 17 --verbose
 *     node --import tsx test/simulation/main.ts --from 1 --count 1000
 *
 * Prints every violation with its seed; exits with 1 where there was one.
 */
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { sqliteDisk } from './seeds.js';
import { simulate } from '../../src/testing/simulator/simulation.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    count: { type: 'string', default: '100' },
    verbose: { type: 'boolean', default: false },
    workers: { type: 'string', default: 'scripted' },
    store: { type: 'string', default: 'memory' },
    servers: { type: 'string' },
    agents: { type: 'boolean' },
    rollout: { type: 'boolean' },
    limited: { type: 'boolean' },
    shadowed: { type: 'boolean' },
    ai: { type: 'boolean' },
    brief: { type: 'boolean', default: false },
    push: { type: 'boolean', default: false },
    topics: { type: 'boolean', default: false },
    storms: { type: 'boolean', default: false },
    bridged: { type: 'boolean', default: false },
    subscribed: { type: 'boolean', default: false },
    folded: { type: 'boolean', default: false },
    pulled: { type: 'boolean', default: false },
    keyed: { type: 'boolean', default: false },
    stop: { type: 'boolean', default: false },
  },
});

const from = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.count) : 1;
const startedMs = performance.now();
let steps = 0;
let failed = 0;
let runs = 0;
const faults: Record<string, number> = {};
const forms: Record<string, number> = {};
const engineFaults = new Map<string, number>();
for (let seed = from; seed < from + count; seed++) {
  const report = await simulate({
    seed,
    workers: values.workers === 'real' ? 'real' : 'scripted',
    brief: values.brief,
    push: values.push,
    topics: values.topics,
    storms: values.storms,
    bridged: values.bridged,
    subscribed: values.subscribed,
    folded: values.folded,
    pulled: values.pulled,
    keyed: values.keyed,
    ...(values.storms ? { taste: { inferences: true } } : {}),
    ...(values.store === 'sqlite' ? { disk: sqliteDisk } : {}),
    ...(values.servers === undefined ? {} : { servers: Number(values.servers) }),
    ...(values.agents === undefined ? {} : { agents: values.agents }),
    ...(values.rollout === undefined ? {} : { rollout: values.rollout }),
    ...(values.limited === undefined ? {} : { limited: values.limited }),
    ...(values.shadowed === undefined ? {} : { shadowed: values.shadowed, taste: { inferences: values.shadowed } }),
    ...(values.ai === undefined ? {} : { taste: { ai: values.ai } }),
    ...(values.verbose ? { onEvent: (line) => console.log(line) } : {}),
  });
  steps += report.steps;
  runs += report.runs;
  for (const [kind, times] of Object.entries(report.faults)) faults[kind] = (faults[kind] ?? 0) + times;
  for (const [form, times] of Object.entries(report.forms)) forms[form] = (forms[form] ?? 0) + times;
  for (const fault of report.engineFaults) {
    const short = fault.replace(/^\d+ /, '').slice(0, 110);
    engineFaults.set(short, (engineFaults.get(short) ?? 0) + 1);
  }
  if (values.seed !== undefined) console.log(report);
  if (report.violations.length === 0) continue;
  failed += 1;
  console.log(`seed ${seed} (${report.servers} servers, ${report.steps} steps):`);
  for (const violation of report.violations.slice(0, 4))
    console.log(`  ${violation.property} ${violation.tenant} ${violation.subject}: ${violation.detail.slice(0, 400)}`);
  if (values.stop) break;
}
const seconds = (performance.now() - startedMs) / 1000;
console.log(
  `${count} seeds, ${failed} failed, ${runs} runs, ${steps} steps in ${seconds.toFixed(1)} s (${Math.round(steps / seconds)}/s)`,
);
console.log(faults, forms);
console.log(engineFaults);
process.exitCode = failed === 0 ? 0 : 1;
