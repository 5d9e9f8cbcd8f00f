/**
 * P10 of agents: each key handles its messages one time, in the order of their arrival and of their offsets; its state and
 * what it has sent are those of exactly the messages that it has handled; and when all has come to rest, every message that
 * was acknowledged, published or sent by another agent was handled.
 */
import { jsonOf } from '../../../core/codec.js';
import { isBlobPayload, type Payload } from '../../../core/payload.js';
import type { RunEvent } from '../../../core/run/events.js';
import { handleStep } from '../../../core/run/mail.js';
import { parseEnvelope, payloadOf } from '../../../engine/events/envelope-writer.js';
import { readRunEvent } from '../../../engine/events/rows.js';
import type { EventRow, Violation } from '../../../store/index.js';
import type { History } from '../history.js';

/** Everything that one key has gone through, over all of its runs. */
interface KeyLife {
  readonly tenant: string;
  readonly key: string;
  readonly runs: { readonly generation: number; readonly events: readonly RunEvent[] }[];
}

/** Every breach. */
export function checkAgents(history: History): Violation[] {
  const { final } = history;
  if (final === null) return [];
  const lives = livesOf(final.histories);
  if (lives.size === 0 && !history.operations.some(({ kind }) => kind === 'tell')) return [];
  const violations: Violation[] = [];
  const handledBy = new Map<string, Set<string>>();
  const dead = new Set<string>();
  for (const [name, life] of lives) {
    const report = (detail: string): void => {
      violations.push({ property: 'P10', tenant: life.tenant, subject: `agent ${life.key}`, detail });
    };
    handledBy.set(name, new Set(checkLife(life, final.topicEvents, report)));
    const last = life.runs.at(-1)?.events ?? [];
    if (last.some(({ type }) => type === 'run.failed')) dead.add(name);
  }
  const demand = (tenant: string, key: string, id: string, what: string): void => {
    const name = `${tenant} ${key}`;
    if (dead.has(name) || handledBy.get(name)?.has(id) === true) return;
    violations.push({ property: 'P10', tenant, subject: `agent ${key}`, detail: `${what} ${id} was never handled` });
  };
  for (const row of final.topicEvents) {
    if (!row.stream.startsWith('noted/')) continue;
    demand(row.tenant, keyOfEvent(row), `${row.stream}/${row.seq}`, 'the event');
  }
  for (const { kind, tenant, key, ackedAtMs } of history.operations) {
    const [agentKey = '', id = ''] = key?.split(' ') ?? [];
    if (kind === 'tell' && ackedAtMs !== null) demand(tenant, agentKey, id, 'the acknowledged message');
  }
  for (const { tenant, runs } of lives.values())
    for (const { events } of runs)
      for (const event of events)
        if (event.type === 'message.sent' && event.data.to.kind === 'agent')
          demand(tenant, event.data.to.key, `${runOf(events)}/${event.data.path}`, 'the message');
  return violations;
}

const runs = new WeakMap<readonly RunEvent[], string>();

function runOf(events: readonly RunEvent[]): string {
  return runs.get(events) ?? '';
}

function livesOf(histories: ReadonlyMap<string, readonly EventRow[]>): Map<string, KeyLife> {
  const lives = new Map<string, KeyLife>();
  for (const [name, rows] of histories) {
    const [tenant = '', run = ''] = name.split('/');
    const events = rows.map((row) => readRunEvent(row).event);
    const [birth] = events;
    if (birth?.type !== 'run.started' || birth.data.agent === undefined) continue;
    const { key, generation } = birth.data.agent;
    const life = lives.get(`${tenant} ${key}`) ?? { tenant, key, runs: [] };
    lives.set(`${tenant} ${key}`, life);
    runs.set(events, run);
    life.runs.push({ generation, events });
  }
  for (const { runs: all } of lives.values()) all.sort((a, b) => a.generation - b.generation);
  return lives;
}

/** Ids of the messages handled, in order. */
function checkLife(life: KeyLife, topicEvents: readonly EventRow[], report: (detail: string) => void): string[] {
  const handled: string[] = [];
  const offsets = new Map<string, number>();
  let state: unknown = { seen: [] };
  const emitted: string[] = [];
  for (const { events } of life.runs) {
    const arrived = events.filter((event) => event.type === 'signal.received' && event.data.mail !== undefined);
    const taken: number[] = [];
    for (const event of events) {
      if (event.type === 'wait.satisfied' && event.data.by.kind === 'signal' && event.data.path.startsWith('mail:'))
        taken.push(event.data.by.seq);
      if (event.type === 'event.emitted') emitted.push(event.data.eventId);
      if (event.type !== 'step.completed' || !event.data.path.startsWith(`${handleStep}:`)) continue;
      if (event.data.path.includes('/')) continue;
      const n = Number(event.data.path.slice(handleStep.length + 1));
      const message = events.find(({ seq }) => seq === taken[n]);
      if (message?.type !== 'signal.received') {
        report(`handled as its message ${n} what was none`);
        continue;
      }
      const { id, mail } = message.data;
      if (handled.includes(id)) report(`handled ${id} twice`);
      handled.push(id);
      state = plain(event.payload);
      const from = mail?.from;
      if (from?.kind !== 'topic') continue;
      if (from.offset <= (offsets.get(from.partition) ?? -1)) report(`handled ${id} after a later one`);
      offsets.set(from.partition, from.offset);
    }
    const order = arrived.map(({ seq }) => seq).filter((seq) => taken.includes(seq));
    if (order.join() !== taken.join()) report(`took ${taken.join()} where ${order.join()} had arrived`);
  }
  const { seen } = state as { readonly seen: readonly string[] };
  if (seen.join() !== handled.join()) report(`has the state ${seen.join()} after handling ${handled.join()}`);
  const heard = topicEvents
    .filter((row) => row.tenant === life.tenant && row.stream.startsWith('heard/') && keyOfEvent(row) === life.key)
    .map(
      (row) => (plain(payloadOf(parseEnvelope(row.envelope), row.payload) ?? undefined) as { readonly id: string }).id,
    );
  if (heard.join() !== handled.join()) report(`has told of ${heard.join()} after handling ${handled.join()}`);
  if (emitted.length !== handled.length) report(`has emitted ${emitted.length} events for ${handled.length} messages`);
  return handled;
}

function keyOfEvent(row: EventRow): string {
  return (parseEnvelope(row.envelope).data as { readonly key: string }).key;
}

function plain(payload: Payload | undefined): unknown {
  if (payload === undefined || isBlobPayload(payload)) throw new Error('Invariant broken: a payload is not inline');
  return jsonOf(payload);
}
