/** What is asked of agents from outside: messages, answers, what an agent is at, and its dead letters. */
import { isoOf } from '../../core/instant.js';
import { jsonOf } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { RunEvent } from '../../core/run/events.js';
import {
  agentSpace,
  answerKey,
  answerSpace,
  isHandlePath,
  type AgentAddress,
  type AnswerAddress,
} from '../../core/run/mail.js';
import { foldRun, unreadMail, type RunState } from '../../core/run/state.js';
import type { AgentSummary, AgentView, PageView } from '../../protocol/http.js';
import type { AgentAnswer, CommandOutcome, Origin } from '../api.js';
import type { EngineContext } from '../context.js';
import { readRunEvent } from '../events/rows.js';
import type { CommittedChange } from '../runs/committed.js';
import type { Reads } from '../runs/reads.js';
import type { Message, PostOffice } from './post-office.js';

/** See the top of the module. */
export class Agents {
  readonly #context: EngineContext;
  readonly #office: PostOffice;
  readonly #reads: Reads;
  /** Those who wait for an answer here, by `tenant` and `answerKey`. */
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(context: EngineContext, office: PostOffice, reads: Reads) {
    this.#context = context;
    this.#office = office;
    this.#reads = reads;
  }

  /** Wakes those who wait for an answer that was just recorded here. */
  committed({ tenant, state, events }: CommittedChange): void {
    if (this.#waiting.size === 0 || state.agent === null) return;
    for (const event of events) {
      if (event.type !== 'message.sent' || event.data.to.kind !== 'caller') continue;
      const key = answerKey(state.workflow, state.agent.key, event.data.to.id);
      for (const wake of this.#waiting.get(`${tenant}/${key}`) ?? []) wake();
    }
  }

  /** The answer to a message, waited for up to `ms`. */
  async answer(tenant: string, agent: string, key: string, id: string, ms: number): Promise<AgentAnswer> {
    const { clock, timers } = this.#context.ports;
    const untilMs = clock.monotonicMs() + ms;
    const name = `${tenant}/${answerKey(agent, key, id)}`;
    for (;;) {
      let wake: () => void = ignore;
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const others = this.#waiting.get(name) ?? new Set();
      this.#waiting.set(name, others.add(wake));
      try {
        const found = await this.#readAnswer(tenant, agent, key, id);
        const leftMs = untilMs - clock.monotonicMs();
        if (found !== null) return found;
        if (leftMs <= 0) return { tag: 'pending' };
        // Another server may record it, and nobody tells of that.
        const cancel = timers.after(Math.min(leftMs, this.#context.store.shared ? sharedLookMs : leftMs), wake);
        await woken;
        cancel();
      } finally {
        others.delete(wake);
        if (others.size === 0) this.#waiting.delete(name);
      }
    }
  }

  async #readAnswer(tenant: string, agent: string, key: string, id: string): Promise<AgentAnswer | null> {
    const [entry] = await this.#context.store.readEntries({
      tenant,
      space: answerSpace,
      key: answerKey(agent, key, id),
      limit: 1,
    });
    if (entry === undefined) return null;
    const { run, seq } = JSON.parse(entry.value) as AnswerAddress;
    const event = await this.#reads.event(tenant, run, seq);
    if (event?.type !== 'message.sent' || event.data.to.kind !== 'caller') return null;
    const { failure } = event.data.to;
    return failure === null ? { tag: 'answered', data: event.payload ?? nothing } : { tag: 'failed', failure };
  }

  /** Null = the key has had no message. */
  async read(tenant: string, agent: string, key: string): Promise<AgentView | null> {
    const address = await this.#office.addressOf(tenant, agent, key);
    if (address === null) return null;
    const events = await this.#history(tenant, address.run);
    if (events.length === 0) return null;
    const state = foldRun(tenant, address.run, events);
    return { ...summary(agent, key, address), ...(await this.#standing(tenant, state, events)) };
  }

  async #standing(
    tenant: string,
    state: RunState,
    events: readonly RunEvent[],
  ): Promise<Omit<AgentView, keyof AgentSummary>> {
    const last = events.findLast((event) => event.type === 'step.completed' && isHandlePath(event.data.path));
    const before = jsonOfPayload(await this.#inline(tenant, events[0]?.payload)) as Partial<Carried> | null;
    const done = events.filter((event) => event.type === 'step.completed' && isHandlePath(event.data.path)).length;
    return {
      status: statusOf(state),
      mailbox: unreadMail(state),
      handled: (before?.handled ?? 0) + done,
      state: last === undefined ? (before?.state ?? null) : jsonOfPayload(await this.#inline(tenant, last.payload)),
      updatedAt: isoOf(state.updatedAt),
    };
  }

  /** The payload with its text; a large one is fetched. */
  async #inline(tenant: string, payload: Payload | undefined): Promise<Payload | undefined> {
    if (payload === undefined || !isBlobPayload(payload)) return payload;
    const bytes = await this.#context.store.readBlob(tenant, payload.blob);
    return bytes === null ? undefined : { codec: payload.codec, text: new TextDecoder().decode(bytes) };
  }

  async #history(tenant: string, run: string): Promise<RunEvent[]> {
    const [rows = []] = await this.#context.store.readHistories([{ tenant, run }]);
    return rows.map((row) => readRunEvent(row).event);
  }

  /** Keys of an agent that have had messages, in their order. */
  async list(
    tenant: string,
    agent: string,
    query: { readonly cursor?: string; readonly limit?: number },
  ): Promise<PageView<AgentSummary>> {
    const limit = Math.min(query.limit ?? limits.pageItemsDefault, limits.pageItemsMax);
    const after = query.cursor === undefined ? {} : { after: { key: query.cursor, ref: '' } };
    const entries = await this.#context.store.readEntries({ tenant, space: agentSpace(agent), ...after, limit });
    const items = entries.map((entry) => summary(agent, entry.key, JSON.parse(entry.value) as AgentAddress));
    return { items, next: entries.length < limit ? null : (entries.at(-1)?.key ?? null) };
  }

  /** Handles a message again that an agent has given up on; null = the dead letter is of another kind. */
  async redrive(origin: Origin, deadLetter: string): Promise<CommandOutcome | null> {
    const { store } = this.#context;
    const { tenant } = origin;
    const row = await store.readDeadLetter(tenant, deadLetter);
    if (row === null) return { tag: 'error', error: new SpineError('DEAD_LETTER_NOT_FOUND', { id: deadLetter }) };
    const events = await this.#history(tenant, row.run);
    const [birth] = events;
    const burial = events.find((event) => event.type === 'message.buried' && event.data.deadLetter === deadLetter);
    if (burial?.type !== 'message.buried' || birth?.type !== 'run.started') return null;
    const message = events.find(({ seq }) => seq === burial.data.message);
    if (message?.type !== 'signal.received' || message.data.mail === undefined) return null;
    // Whoever has asked was told that there is no answer.
    const again: Message = {
      id: `redrive/${deadLetter}`,
      type: message.data.mail.type,
      from: { kind: 'caller', reply: false },
      data: message.payload ?? null,
    };
    const key = birth.data.agent?.key ?? '';
    const outcome = await this.#office.post(origin, birth.data.workflow, key, again);
    if (outcome.tag === 'error') return outcome;
    await store.apply([{ tenant, deadLetters: [{ op: 'remove', id: deadLetter }] }]);
    return { tag: 'done' };
  }
}

/** What the input of a run holds that goes on from another. */
interface Carried {
  readonly state: unknown;
  readonly handled: number;
}

function summary(agent: string, key: string, { run, generation }: AgentAddress): AgentSummary {
  return { agent, key, run, generation };
}

function statusOf({ status, units, signals }: RunState): AgentView['status'] {
  if (status === 'failed') return 'parked';
  if (status !== 'active' && status !== 'waiting') return 'ended';
  const isIdle = [...units].some(
    ([path, unit]) => unit.kind === 'wait' && unit.status === 'open' && !path.includes('/'),
  );
  return isIdle && signals.size === 0 ? 'idle' : 'busy';
}

function jsonOfPayload(payload: Payload | undefined): unknown {
  return payload === undefined || isBlobPayload(payload) ? null : jsonOf(payload);
}

const nothing: Payload = { codec: 'json/1', text: 'null' };

function ignore(): void {}

/** Pause between two looks for an answer that another server may record. */
const sharedLookMs = 100;
