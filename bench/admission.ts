/**
 * What limits cost: checks of the coordinator's counters a second, in memory; and calls of a capability through an embedded
 * store, without limits, under limits with room for all, and under a limit that holds most of them back; and inferences of a model
 * that answers at once.
 *
 *   npm run bench -- admission [calls=2000] [checks=200000]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { capability, createSpine, defineApp, limit, model, workflow, type Limit } from 'eventspine';
import { fakeModel } from '../src/testing/kit/fake-model.js';
import { sqlite } from 'eventspine/sqlite';
import { demandsOf, Ledger, type Share } from '../src/core/admission/ledger.js';
import type { LimitSpec, Work } from '../src/core/admission/limit.js';
import { FairQueue, type Waiting } from '../src/core/admission/queue.js';
import { report } from './support/figures.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const calls = Number(options.get('calls') ?? 2_000);
const checks = Number(options.get('checks') ?? 200_000);

const specs: readonly LimitSpec[] = [
  { name: 'slots', rule: { kind: 'concurrency', max: 1_000_000, adaptive: null }, by: [], scope: 'inferences' },
  {
    name: 'tokens',
    rule: { kind: 'rate', of: 'tokens', amount: 1_000_000_000, perMs: 1_000, burst: 1_000_000_000 },
    by: ['tenant'],
    scope: 'inferences',
  },
  {
    name: 'money',
    rule: { kind: 'budget', amountMicros: 1_000_000_000_000, per: 'day', zone: 'UTC' },
    by: ['tenant', 'model'],
    scope: 'inferences',
  },
];

interface Ticket extends Waiting {
  readonly work: Work;
}

/** Tickets of a hundred tenants under three limits: queued, admitted and settled, in rounds of 256. */
function checksPerSecond(): number {
  const ledger = new Ledger((key) => specs.find(({ name }) => key.startsWith(name))?.rule ?? null);
  const queue = new FairQueue<Ticket>();
  const from = performance.now();
  let done = 0;
  for (let now = 1_000_000; done < checks; now++) {
    for (let i = 0; i < 256; i++) {
      const tenant = `t${(done + i) % 100}`;
      const work: Work = {
        tenant,
        workflow: 'w',
        run: 'r',
        kind: 'inference',
        model: 'writer',
        endpoint: 'here',
        capability: '',
        limits: [],
        tokens: 500,
        costMicros: 700,
      };
      queue.add({ id: `${done + i}`, tenant, order: `${done + i}`, demands: demandsOf(specs, work), cost: 1, work });
    }
    const given: (readonly Share[])[] = [];
    const admitted = queue.admit(256, (ticket) => {
      const verdict = ledger.reserve(ticket.demands, now);
      if (verdict.tag === 'short') return verdict.short.map(({ key }) => key);
      given.push(verdict.shares);
      return [];
    });
    if (admitted.length < 256) throw new Error(`only ${admitted.length} of 256 were admitted`);
    for (const shares of given)
      ledger.settle(
        shares,
        { begun: true, tokens: 400, costMicros: 600, overloaded: false, firstPartMs: 5, heldMs: 20, feedback: null },
        'here',
        now,
      );
    ledger.changes();
    done += admitted.length;
  }
  return done / ((performance.now() - from) / 1_000);
}

async function callsPerSecond(limits: readonly Limit[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-admission-'));
  const work = capability('work', { limits });
  const call = workflow('calls', {}, async (ctx, n) => {
    const made = Array.from({ length: Number(n) }, (_, i) => ctx.call(work, null, { as: `call-${i}` }));
    return (await Promise.all(made)).length;
  });
  const app = defineApp({ workflows: [call], handlers: [work.implement(() => null)] });
  const spine = createSpine(app, { store: sqlite({ file: join(folder, 'bench.db') }) });
  try {
    await (await spine.start('calls', 50)).result();
    const runs = 20;
    const each = Math.ceil(calls / runs);
    const from = performance.now();
    const started = await Promise.all(Array.from({ length: runs }, () => spine.start('calls', each)));
    await Promise.all(started.map((run) => run.result()));
    return (runs * each) / ((performance.now() - from) / 1_000);
  } finally {
    await spine.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Inferences of a model that answers at once. */
async function inferencesPerSecond(limits: readonly Limit[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-admission-'));
  const writer = model('writer', { versions: { v1: { use: fakeModel('yes') } }, limits });
  const ask = workflow('ask', {}, async (ctx, n) => {
    const asked = Array.from({ length: Number(n) }, (_, i) =>
      ctx.infer(['ask', i], { model: writer, prompt: 'Well?' }),
    );
    return (await Promise.all(asked)).length;
  });
  const app = defineApp({ workflows: [ask], models: [writer] });
  const spine = createSpine(app, { store: sqlite({ file: join(folder, 'bench.db') }) });
  try {
    await (await spine.start('ask', 20)).result();
    const runs = 20;
    const each = Math.ceil(calls / 2 / runs);
    const from = performance.now();
    const started = await Promise.all(Array.from({ length: runs }, () => spine.start('ask', each)));
    await Promise.all(started.map((run) => run.result()));
    return (runs * each) / ((performance.now() - from) / 1_000);
  } finally {
    await spine.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const withRoom = [
  limit('slots', { concurrency: 1_000_000 }),
  limit('pace', { rate: { requests: 1_000_000, per: '1s' }, by: ['tenant'] }),
];
const free = await callsPerSecond([]);
const roomy = await callsPerSecond(withRoom);
const tight = await callsPerSecond([limit('tight', { concurrency: 50 })]);
const freeAsked = await inferencesPerSecond([]);
const roomyAsked = await inferencesPerSecond(withRoom);
report('admission', {
  checksPerSecond: Math.round(checksPerSecond()),
  callsPerSecondFree: Math.round(free),
  callsPerSecondUnderTwoLimitsWithRoom: Math.round(roomy),
  callsPerSecondUnderFiftySlots: Math.round(tight),
  inferencesPerSecondFree: Math.round(freeAsked),
  inferencesPerSecondUnderTwoLimitsWithRoom: Math.round(roomyAsked),
  limitedInferencesToFree: Number((roomyAsked / freeAsked).toFixed(2)),
  limitedToFree: Number((roomy / free).toFixed(2)),
  tightToFree: Number((tight / free).toFixed(2)),
});
