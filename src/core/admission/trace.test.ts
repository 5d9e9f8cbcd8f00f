/** An hour of real requests to a language model (Azure, 2023) under limits that they do not fit into all the time. */
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { describeUnless } from '../../../test/skip.js';
import { demandsOf, Ledger, type Share } from './ledger.js';
import { limitOfKey, type LimitSpec, type Work } from './limit.js';
import { FairQueue, type Waiting } from './queue.js';

const trace = new URL('../../../../shared/data/traces/azure_llm_2023_conv.csv.gz', import.meta.url);
const missing = existsSync(trace) ? null : 'the trace azure_llm_2023_conv.csv.gz is not in shared/data';

const tokens = { kind: 'rate', of: 'tokens', amount: 540_000, perMs: 60_000, burst: 60_000 } as const;
const specs: readonly LimitSpec[] = [
  { name: 'tokens', rule: tokens, by: [], scope: 'inferences' },
  { name: 'slots', rule: { kind: 'concurrency', max: 64, adaptive: null }, by: [], scope: 'inferences' },
];

interface Request extends Waiting {
  readonly at: number;
  readonly used: number;
  readonly work: Work;
}

/** What a caller says that the answer may have. */
const answerMax = 1_000;
const msPerToken = 25;
const stepMs = 50;

describeUnless(missing, 'an hour of real requests', () => {
  const requests = missing === null ? readRequests() : [];

  it('is let in whole, never faster than its limits allow, and nothing is held in the end', () => {
    const ledger = new Ledger((key) => specs.find(({ name }) => name === limitOfKey(key))?.rule ?? null);
    const queue = new FairQueue<Request>();
    const given: { readonly at: number; readonly used: number }[] = [];
    const waits: number[] = [];
    let underWay: { readonly until: number; readonly request: Request; readonly shares: readonly Share[] }[] = [];
    let next = 0;
    let most = 0;
    for (let now = 0; given.length < requests.length; now += stepMs) {
      for (const { until, request, shares } of underWay)
        if (until <= now)
          ledger.settle(shares, { ...settlement, tokens: request.used, heldMs: until - request.at }, '', now);
      underWay = underWay.filter(({ until }) => until > now);
      for (; (requests[next]?.at ?? Number.POSITIVE_INFINITY) <= now; next++) queue.add(requests[next] as Request);
      const shares = new Map<string, readonly Share[]>();
      const admitted = queue.admit(256, ({ id, demands }) => {
        const verdict = ledger.reserve(demands, now);
        if (verdict.tag === 'short') return verdict.short.map(({ key }) => key);
        shares.set(id, verdict.shares);
        return [];
      });
      for (const request of admitted) {
        given.push({ at: now, used: request.used });
        waits.push(now - request.at);
        const until = now + Math.max(stepMs, (request.used - request.work.tokens + answerMax) * msPerToken);
        underWay.push({ until, request, shares: shares.get(request.id) ?? [] });
      }
      most = Math.max(most, underWay.length);
      ledger.changes();
    }
    for (const { request, shares, until } of underWay)
      ledger.settle(shares, { ...settlement, tokens: request.used, heldMs: 0 }, '', until);
    expect(ledger.view('slots', 0)?.used).toBe(0);
    expect(most).toBeLessThanOrEqual(64);
    expect(worstOver(given)).toBeLessThanOrEqual(1e-6);
    waits.sort((a, b) => a - b);
    const lasted = (given.at(-1)?.at ?? 0) / 60_000;
    const all = given.reduce((sum, { used }) => sum + used, 0);
    console.log(
      `${given.length} requests, ${all} tokens in ${lasted.toFixed(1)} min; waits: median ${waits[waits.length >> 1]} ms, p99 ${waits[Math.floor(waits.length * 0.99)]} ms`,
    );
    // The limit is hardly more than what comes: had refunds been lost, it would take half as long again.
    expect(lasted).toBeLessThan(75);
  });
});

const settlement = {
  begun: true,
  costMicros: 0,
  overloaded: false,
  firstPartMs: null,
  feedback: null,
} as const;

/** Tokens above `burst + rate * w` in the worst of all windows; what was used counts from when it was let in. */
function worstOver(given: readonly { readonly at: number; readonly used: number }[]): number {
  let sum = 0;
  let least = Number.POSITIVE_INFINITY;
  let worst = Number.NEGATIVE_INFINITY;
  for (const { at, used } of given) {
    const gained = (tokens.amount * at) / tokens.perMs;
    least = Math.min(least, sum - gained);
    sum += used;
    worst = Math.max(worst, sum - gained - least - tokens.burst);
  }
  return worst;
}

function readRequests(): Request[] {
  const lines = gunzipSync(readFileSync(trace)).toString('utf8').trim().split('\n').slice(1);
  return lines.map((line, i) => {
    const [seconds, context = 0, generated = 0] = line.split(',').map(Number);
    const at = Math.round((seconds ?? 0) * 1_000);
    const id = String(i).padStart(6, '0');
    const tenant = `t${i % 7}`;
    const work: Work = {
      tenant,
      workflow: 'w',
      run: id,
      kind: 'inference',
      model: 'm',
      endpoint: '',
      capability: '',
      limits: [],
      tokens: context + answerMax,
      costMicros: 0,
    };
    const used = context + Math.min(generated, answerMax);
    return { id, tenant, order: id, demands: demandsOf(specs, work), cost: 1, at, used, work };
  });
}
