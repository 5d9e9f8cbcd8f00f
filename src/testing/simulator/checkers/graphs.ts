/**
 * P4 of graphs: no call is asked for twice unless a redrive came between and it had no result, none before what its node
 * needs, and no run has succeeded before all of its nodes came to their ends.
 */
import { nodeOfPath, standsInFor, type GraphNode } from '../../../core/graph/graph.js';
import { readRunEvent } from '../../../engine/events/rows.js';
import type { RunEvent } from '../../../core/run/events.js';
import type { EventRow, Violation } from '../../../store/index.js';
import { simGraph, type GraphInput } from '../graph-program.js';
import type { History } from '../history.js';

/** Every breach. */
export function checkGraphs(history: History): Violation[] {
  const violations: Violation[] = [];
  for (const [key, rows] of history.final?.histories ?? []) {
    const [tenant = '', run = ''] = key.split('/');
    if (!rows.some(({ type }) => type === 'graph.started')) continue;
    const report = (detail: string): void => void violations.push({ property: 'P4', tenant, subject: run, detail });
    checkRun(rows, report);
  }
  return violations;
}

type CallState = 'open' | 'completed' | 'failed';

function checkRun(rows: readonly EventRow[], report: (detail: string) => void): void {
  const [first] = rows;
  const text =
    first?.payload !== null && first?.payload !== undefined && 'text' in first.payload ? first.payload.text : '{}';
  const { items = [] } = JSON.parse(text) as Partial<GraphInput>;
  const calls = new Map<string, CallState>();
  const unbegun = new Map<string, 'skipped' | 'failed'>();
  const look: Look = { calls, unbegun, items: items.length };
  for (const row of rows) {
    const { event } = readRunEvent(row);
    switch (event.type) {
      case 'call.scheduled':
        checkCall(look, event, report);
        calls.set(event.data.path, 'open');
        break;
      case 'call.completed':
      case 'call.failed':
        calls.set(event.data.path, event.type === 'call.completed' ? 'completed' : 'failed');
        break;
      case 'node.skipped':
      case 'node.failed':
        if (unbegun.has(event.data.path)) report(`${event.data.path} was given up twice (event ${event.seq})`);
        unbegun.set(event.data.path, event.type === 'node.skipped' ? 'skipped' : 'failed');
        break;
      case 'run.redriven':
        for (const name of event.data.paths) forget(look, name);
        break;
      case 'run.succeeded':
        for (const node of simGraph.nodes)
          if (endOf(look, node) === null) report(`the run succeeded although ${node.name} has not ended`);
        break;
      default:
        break;
    }
  }
}

interface Look {
  readonly calls: Map<string, CallState>;
  readonly unbegun: Map<string, 'skipped' | 'failed'>;
  readonly items: number;
}

/** What has a result is kept, and of a map that settles what has failed for good. */
function forget({ calls, unbegun }: Look, name: string): void {
  unbegun.delete(name);
  const node = simGraph.nodes.find((one) => one.name === name);
  for (const [path, state] of [...calls]) {
    const base = standsInFor(path) ?? path;
    if (nodeOfPath(base) !== name || state === 'completed') continue;
    const fallback = calls.get(`${base}/fallback`);
    const isFinal = calls.get(base) === 'failed' && (node?.fallback === undefined || fallback === 'failed');
    if (fallback !== 'completed' && !(isFinal && node?.map?.onError === 'settle')) {
      calls.delete(base);
      calls.delete(`${base}/fallback`);
    }
  }
}

function checkCall(
  look: Look,
  { seq, data: { path } }: Extract<RunEvent, { type: 'call.scheduled' }>,
  report: (detail: string) => void,
): void {
  const node = simGraph.nodes.find(({ name }) => name === nodeOfPath(path));
  if (node === undefined) return report(`${path} belongs to no node (event ${seq})`);
  if (look.calls.has(path)) report(`${path} was asked for twice (event ${seq})`);
  const base = standsInFor(path);
  if (base !== null) {
    if (look.calls.get(base) === 'completed') report(`${path} stands in for what has a result (event ${seq})`);
    return;
  }
  const before = node.after.map((name) =>
    endOf(
      look,
      simGraph.nodes.find((other) => other.name === name),
    ),
  );
  const isMet =
    node.join === 'settled'
      ? !before.includes(null)
      : node.join === 'any'
        ? before.includes('completed')
        : before.every((one) => one === 'completed');
  if (!isMet) report(`${path} was asked for before what it needs (event ${seq}): ${before.join(', ')}`);
}

/** What became of a node so far; null = it has not ended. */
function endOf(
  { calls, unbegun, items }: Look,
  node: GraphNode | undefined,
): 'completed' | 'failed' | 'skipped' | null {
  if (node === undefined) return null;
  const given = unbegun.get(node.name);
  if (given !== undefined) return given;
  const paths = [...calls.keys()].filter((path) => standsInFor(path) === null && nodeOfPath(path) === node.name);
  const ends = paths.map((path) => {
    const state = calls.get(path) ?? 'open';
    if (state !== 'failed' || node.fallback === undefined) return state;
    return calls.get(`${path}/fallback`) ?? 'open';
  });
  if (node.map?.onError !== 'settle' && ends.includes('failed')) return 'failed';
  if (ends.includes('open') || ends.length < (node.map === undefined ? 1 : items)) return null;
  return 'completed';
}
