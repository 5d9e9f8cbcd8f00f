/**
 * `npm test`: set-up, then every check and every suite of the repository, one phase after the other. Nothing is hidden:
 * the output of each phase is shown, each suite that was left out is named with its reason, and the last line counts.
 * Invariant: exit code 0 means that every phase ran and nothing failed.
 *
 *     npm test                  everything, under 20 minutes on two cores
 *     npm test -- --nightly     longer simulation and process campaigns, and the shards of the fault campaign
 *     npm test -- --only NAME   one phase (may be repeated); what was not asked for is not counted
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kafkaClient } from './kafka-client.mjs';
import { bin, build, install, requireNode, root, run } from './setup.mjs';
import { tallyOf } from './tally.mjs';

const minute = 60_000;
const argv = process.argv.slice(2);
const nightly = argv.includes('--nightly');
const only = argv.flatMap((argument, i) => (argument === '--only' ? [argv[i + 1]] : []));
/** Nightly campaigns take what they need; a hang must still end. */
const stretch = nightly ? 12 : 1;

const records = mkdtempSync(join(tmpdir(), 'eventspine-test-'));
const env = nightly ? { EVENTSPINE_NIGHTLY: '1' } : {};

const passed = { passed: 1, failed: 0, skipped: 0 };
const failed = { passed: 0, failed: 1, skipped: 0 };

/** A check counts as one test; a vitest run counts its tests. `run` resolves to a tally. */
const phases = [
  command('types', 3 * minute, () => [bin('typescript', 'tsc'), '-b', 'tsconfig.json']),
  command('lint', 3 * minute, () => [bin('oxlint', 'oxlint'), '--type-aware', '--deny-warnings']),
  command('format', minute, () => [bin('@biomejs/biome', 'biome'), 'format', '.']),
  command('repository', minute, () => ['--import', 'tsx', join('scripts', 'check-repository.ts')]),
  suite('main', 8 * minute, ['src']),
  suite('postgres', 8 * minute, [join('test', 'postgres')]),
  // The client of Kafka wants a later Node than the rest; what the tests do most is wait for sessions to end.
  suite('kafka', 4 * minute, [join('test', 'kafka')], ['--maxWorkers=4'], nodeForKafka),
  suite('simulation', 6 * minute, [join('test', 'simulation')]),
  // Three at a time on two cores: what they do most is wait for processes, packages and time-outs.
  suite('process', 12 * minute, [join('test', 'process')], ['--maxWorkers=3']),
  suite('campaign', 8 * minute, [join('test', 'campaign')]),
  // Takes up where the last call was ended: what has reached its goal is not done again until the report is gone.
  ...(nightly ? [command('shards', 300 * minute, () => ['--import', 'tsx', join('test', 'campaign', 'main.ts')])] : []),
];

/** `run` hands the signal to the phase that is under way; what would come after it is left out. */
let interrupted = false;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => (interrupted = true));

const total = { passed: 0, failed: 0, skipped: 0 };
const leftOut = [];
const table = [];

await main();

async function main() {
  const unknown = only.filter((name) => !phases.some((phase) => phase.name === name));
  if (unknown.length > 0) {
    console.error(`Unknown phase: ${unknown.join(', ')}. Phases: ${phases.map((phase) => phase.name).join(', ')}.`);
    close({ passed: 0, failed: 1, skipped: 0 });
    return;
  }
  let usable = true;
  await timed('set-up', async () => {
    try {
      requireNode();
      await install();
      return passed;
    } catch (error) {
      console.error(`Set-up failed: ${error.message}`);
      usable = false;
      return failed;
    }
  });
  if (usable) {
    await timed('build', async () => {
      try {
        await build();
        return passed;
      } catch (error) {
        // Go on: the suites say more about what is broken than the compiler alone.
        console.error(error.message);
        return failed;
      }
    });
    for (const phase of phases) {
      if (only.length > 0 && !only.includes(phase.name)) continue;
      if (interrupted) leftOut.push({ name: `phase ${phase.name}`, reason: 'interrupted' });
      else await timed(phase.name, phase.run);
    }
  }
  if (interrupted) total.failed = Math.max(1, total.failed);
  report();
  rmSync(records, { recursive: true, force: true });
  close(total);
}

/** A phase that is a command: it passed where its exit code is 0. */
function command(name, msMax, args) {
  return {
    name,
    run: async () => {
      const { code } = await run(process.execPath, args(), { msMax, env });
      return code === 0 ? passed : failed;
    },
  };
}

/**
 * A phase that is a project of vitest.config.ts, with flags of vitest where it needs some, under the Node that `findNode` finds.
 * A folder that is there and yields no test is a failure.
 */
function suite(name, msMax, folders, flags = [], findNode = () => ({ node: process.execPath })) {
  return {
    name,
    run: async () => {
      const missing = folders.filter((folder) => !existsSync(join(root, folder)));
      if (missing.length === folders.length) {
        leftOut.push({ name: `project ${name}`, reason: `no folder ${missing.join(', ')}` });
        return { passed: 0, failed: 0, skipped: 1 };
      }
      const { node, reason } = findNode();
      if (node === null) {
        leftOut.push({ name: `project ${name}`, reason });
        return { passed: 0, failed: 0, skipped: 1 };
      }
      const file = join(records, `${name}.json`);
      const { code } = await run(
        node,
        [
          bin('vitest', 'vitest'),
          'run',
          `--project=${name}`,
          '--reporter=default',
          '--reporter=json',
          `--outputFile.json=${file}`,
          ...flags,
        ],
        { msMax: msMax * stretch, env },
      );
      const counted = tallyOf(name, readReport(file), code, root);
      for (const remark of counted.remarks) console.error(remark);
      leftOut.push(...counted.leftOut);
      return counted.tally;
    },
  };
}

/** Fetched when its phase begins, so that other phases never wait for it. */
function nodeForKafka() {
  const found = kafkaClient();
  if (found.node !== null) console.log(found.source);
  return found;
}

/** What vitest's JSON reporter wrote; null where it did not come to that. */
function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

async function timed(name, work) {
  console.log(`\n== ${name}`);
  const begun = performance.now();
  const tally = await work();
  const seconds = (performance.now() - begun) / 1000;
  for (const key of Object.keys(total)) total[key] += tally[key];
  table.push({ name, seconds, tally });
  console.log(`== ${name}: ${tally.failed === 0 ? 'ok' : 'FAILED'} in ${seconds.toFixed(1)} s`);
}

function report() {
  console.log('\nPhases');
  for (const { name, seconds, tally } of table) {
    const counts = `${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`;
    console.log(
      `  ${tally.failed === 0 ? '  ' : '! '}${name.padEnd(12)} ${seconds.toFixed(1).padStart(7)} s  ${counts}`,
    );
  }
  if (leftOut.length > 0) console.log('\nLeft out');
  for (const { name, reason } of leftOut) console.log(`    ${name}: ${reason}`);
}

/** The last line of all; `.ci/run` and people read it. */
function close({ passed, failed, skipped }) {
  process.exitCode = failed === 0 ? 0 : 1;
  console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
}
