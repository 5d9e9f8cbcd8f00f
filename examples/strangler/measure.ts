/**
 * Measures the route before and after, behind a gateway with a limit of 30 seconds: 50 users at the same time, two questions each, 8 to
 * 33 seconds of work. Takes about three and a half minutes: `npm run build && node --import tsx examples/strangler/measure.ts`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { StrangleOrder, StrangleReport } from 'eventspine/strangle';
import { startGateway } from './gateway.ts';
import { startModelEndpoint } from './model-endpoint.ts';
import { ask, quantile, questionsOf } from './users.ts';

const users = 50;
const unitMs = 1_000;
const limitMs = 30 * unitMs;

const folder = mkdtempSync(join(tmpdir(), 'strangler-'));
const model = await startModelEndpoint();

/** A web server in a process of its own, so that its memory is its own. */
async function startWebProcess(file: string): Promise<{ readonly web: ChildProcess; readonly url: string }> {
  const web = fork(fileURLToPath(new URL('web.ts', import.meta.url)), [join(folder, file)], {
    execArgv: ['--import', 'tsx'],
    env: { ...process.env, MODEL_URL: model.url },
  });
  const [{ url }] = (await once(web, 'message')) as [{ readonly url: string }];
  return { web, url };
}

async function asked<T>(web: ChildProcess, what: string): Promise<T> {
  web.send(what);
  const [answer] = (await once(web, 'message')) as [T];
  return answer;
}

async function measure(name: string, order: StrangleOrder, each: number): Promise<void> {
  const { web, url } = await startWebProcess(`${name}.db`);
  const gateway = await startGateway(url, limitMs);
  web.send(order);
  const { bytes: idle } = await asked<{ readonly bytes: number }>(web, 'memory');
  const open: number[] = [];
  const memory: number[] = [];
  const sampling = new AbortController();
  const sampled = (async () => {
    while (!sampling.signal.aborted) {
      open.push(gateway.open());
      memory.push((await asked<{ readonly bytes: number }>(web, 'memory')).bytes);
      await pause(200);
    }
  })();
  const before = model.answered();
  const since = performance.now();
  const met = await ask(gateway.url, questionsOf(users, each, unitMs), unitMs);
  const tookMs = performance.now() - since;
  sampling.abort();
  await sampled;
  const { report } = await asked<{ readonly report: StrangleReport }>(web, 'report');
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  console.log(`\n${name}: ${users} users, ${users * each} questions, ${seconds(tookMs)}`);
  console.log(`  requests by status      ${JSON.stringify(met.statuses)}`);
  console.log(
    `  first word    p50 p99   ${seconds(quantile(met.firstMs, 0.5))}  ${seconds(quantile(met.firstMs, 0.99))}`,
  );
  console.log(
    `  the answer    p50 p99   ${seconds(quantile(met.answeredMs, 0.5))}  ${seconds(quantile(met.answeredMs, 0.99))}`,
  );
  console.log(`  without an answer       ${met.unanswered}`);
  const mean = open.reduce((sum, count) => sum + count, 0) / open.length;
  console.log(`  connections held        ${mean.toFixed(1)} at a time, ${Math.max(...open)} at most`);
  console.log(`  memory of the server    ${mib(idle)} idle, ${mib(Math.max(...memory))} at most`);
  const { total, same, different } = report.mirror;
  if (total > 0) {
    // The last of them are still at work, as nobody waits for them.
    console.log(`  mirrored                ${total}, compared ${same + different}, different ${different}`);
  }
  web.send('close');
  await once(web, 'exit');
  // By then also what nobody waited for any more is done.
  const paid = model.answered() - before;
  console.log(`  calls of the model      ${paid}, ${3 * met.answeredMs.length} for answers that arrived`);
  await gateway.close();
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}

try {
  await measure('before', 'old', 2);
  await measure('mirrored', { async: 0, mirror: 0.2 }, 1);
  await measure('after', 'declared', 2);
} finally {
  await model.close();
  rmSync(folder, { recursive: true, force: true });
}
