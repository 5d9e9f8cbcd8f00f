/**
 * Brings messages to agents, and answers to those who have asked. A message is recorded in the run that its key stands
 * for, in one commit with whatever says that it was on its way; a key that has no run gets one in the same commit.
 *
 * Invariant: delivering twice does nothing. An event of a topic is known by its offset, which an agent keeps for ever;
 * everything else by an id, which the store keeps for as long as ids of requests.
 */
import { jsonOf, payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { RunEvent } from '../../core/run/events.js';
import {
  agentSpace,
  mailSignal,
  sendTimer,
  seqOfSendTimer,
  type AgentAddress,
  type MailSource,
  type SendTarget,
} from '../../core/run/mail.js';
import { foldRun } from '../../core/run/state.js';
import type { DedupeWrite, TimerRow, TimerWrite } from '../../store/contract.js';
import type { Origin } from '../api.js';
import type { EngineContext } from '../context.js';
import { readRunEvent } from '../events/rows.js';
import { birth, birthTransition } from '../intake/birth.js';
import type { Catalog } from '../intake/catalog.js';
import type { CommitAnswer } from '../runs/committer.js';
import { runKey, type CommittedChange } from '../runs/committed.js';
import type { JobOutcome, LaneJob, Lanes } from '../runs/lanes.js';
import type { Reads } from '../runs/reads.js';
import { agentRunId } from './agent-run-id.js';

/** A message on its way. */
export interface Message {
  /** Names it among all messages to the key. */
  readonly id: string;
  readonly type: string;
  readonly from: MailSource;
  readonly data: Payload | null;
  /** Where untrusted text has come from that its sender had read. Absent = none is known of. */
  readonly taint?: readonly string[];
  /** The timer that stands for the message at its sender; goes with its delivery. */
  readonly timer?: Extract<TimerWrite, { op: 'clear' }>;
}

export type PostOutcome =
  | { readonly tag: 'delivered'; readonly run: string }
  /** It had come before. */
  | { readonly tag: 'already' }
  | { readonly tag: 'error'; readonly error: Error };

type Sent = Extract<RunEvent, { readonly type: 'message.sent' }>;

/** See the top of the module. */
export class PostOffice {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #lanes: Lanes;
  readonly #reads: Reads;
  /** Rounds of senders whose messages are being delivered, by run. */
  readonly #rounds = new Map<string, Round>();

  constructor(context: EngineContext, catalog: Catalog, lanes: Lanes, reads: Reads) {
    this.#context = context;
    this.#catalog = catalog;
    this.#lanes = lanes;
    this.#reads = reads;
  }

  /** Sends off at once what this server has just recorded as sent. Where it dies meanwhile, the timers are due. */
  committed({ tenant, run, events, task }: CommittedChange): void {
    if (task === null || !events.some(isOnItsWay)) return;
    this.send(tenant, run).catch((error: unknown) => this.#context.fault('messages', error));
  }

  /** A timer stands for a message on its way. */
  due({ tenant, run }: TimerRow): Promise<void> {
    return this.send(tenant, run);
  }

  async stop(): Promise<void> {
    await Promise.allSettled([...this.#rounds.values()].map(({ done }) => done));
  }

  /** Delivers what a run has sent, one after the other. Those who ask meanwhile share one more round. */
  send(tenant: string, run: string): Promise<void> {
    const key = runKey(tenant, run);
    const before = this.#rounds.get(key);
    if (before !== undefined) {
      before.again = true;
      return before.done;
    }
    const round: Round = { again: false, done: Promise.resolve() };
    this.#rounds.set(key, round);
    round.done = this.#sendAll(tenant, run, round).finally(() => this.#rounds.delete(key));
    return round.done;
  }

  /** Brings a message to the agent of a key. Fails, as an outcome, with AGENT_UNKNOWN, MAILBOX_FULL and those of the store. */
  async post(origin: Origin, agent: string, key: string, message: Message): Promise<PostOutcome> {
    try {
      for (let round = 0; round < roundsMax; round++) {
        const outcome = await this.#try(origin, agent, key, message);
        if (outcome !== null) return outcome;
      }
      return { tag: 'error', error: new SpineError('STORE_BUSY', {}) };
    } catch (error) {
      return { tag: 'error', error: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  /** Where the agent of a key is; null = it has had no message. */
  async addressOf(tenant: string, agent: string, key: string): Promise<AgentAddress | null> {
    const [entry] = await this.#context.store.readEntries({ tenant, space: agentSpace(agent), key, limit: 1 });
    return entry === undefined ? null : (JSON.parse(entry.value) as AgentAddress);
  }

  // ---------------------------------------------------------------- deliveries

  async #sendAll(tenant: string, run: string, round: Round): Promise<void> {
    do {
      round.again = false;
      const timers = await this.#context.store.readTimers(tenant, run);
      const seqs = timers.flatMap(({ name }) => seqOfSendTimer(name) ?? []).sort((a, b) => a - b);
      for (const seq of seqs) {
        const event = await this.#reads.event(tenant, run, seq);
        // One that cannot be delivered now holds back those behind it, so that they keep their order.
        if (!(await this.#deliver(tenant, run, seq, event))) return;
      }
    } while (round.again);
  }

  /** False = not now. */
  async #deliver(tenant: string, run: string, seq: number, event: RunEvent | null): Promise<boolean> {
    const timer = { op: 'clear', run, name: sendTimer(seq) } as const;
    if (event?.type !== 'message.sent') return this.#clear(tenant, timer);
    const outcome = await this.#bring(tenant, run, event, timer);
    if (outcome.tag === 'delivered') return true;
    if (outcome.tag === 'already') return this.#clear(tenant, timer);
    const at = this.#context.store.now() + laterMs;
    await this.#context.store.apply([{ tenant, timers: [{ op: 'set', run, name: timer.name, fireAt: at }] }]);
    this.#context.fault(`message ${run}/${event.data.path}`, outcome.error);
    return false;
  }

  #bring(
    tenant: string,
    run: string,
    { data: { path, to, taint }, payload }: Sent,
    timer: Extract<TimerWrite, { op: 'clear' }>,
  ): Promise<PostOutcome> {
    const id = `${run}/${path}`;
    const data = payload ?? null;
    const read = taint === undefined ? {} : { taint };
    switch (to.kind) {
      case 'agent': {
        const origin = { tenant, actor: 'engine', traceparent: null, correlation: null };
        const from = { kind: 'run', run, reply: to.reply } as const;
        return this.post(origin, to.agent, to.key, { id, type: to.type, from, data, timer, ...read });
      }
      case 'run':
        return this.#answer(tenant, to, { id, data, timer, ...read });
      case 'caller':
        // Nobody brings it anywhere: it is fetched.
        return Promise.resolve({ tag: 'already' });
    }
  }

  async #answer(
    tenant: string,
    { run: asker, name, failure }: Extract<SendTarget, { kind: 'run' }>,
    {
      id,
      data,
      timer,
      taint,
    }: Pick<Message, 'id' | 'data' | 'taint'> & { readonly timer: Extract<TimerWrite, { op: 'clear' }> },
  ): Promise<PostOutcome> {
    const read = taint === undefined ? {} : { taint };
    const named = { op: 'signal', id, name, by: timer.run, data, ...read } as const;
    const command = failure === null ? named : { ...named, failure };
    const outcome = await this.#submit(tenant, asker, command, 'engine', { timers: [timer] });
    if (outcome.tag === 'applied') return { tag: 'delivered', run: asker };
    if (outcome.tag === 'error') return outcome;
    // `already`, or nobody is there to hear it.
    return { tag: 'already' };
  }

  async #clear(tenant: string, timer: TimerWrite): Promise<true> {
    await this.#context.store.apply([{ tenant, timers: [timer] }]);
    return true;
  }

  // ---------------------------------------------------------------- agents

  /** Null = somebody else was quicker: look again. */
  async #try(origin: Origin, agent: string, key: string, message: Message): Promise<PostOutcome | null> {
    const { tenant } = origin;
    const address = await this.addressOf(tenant, agent, key);
    if (address === null) return this.#begin(origin, agent, message, { key, generation: 1, offsets: {} });
    const outcome = await this.#submit(
      tenant,
      address.run,
      {
        op: 'signal',
        id: message.id,
        name: mailSignal,
        by: origin.actor,
        data: message.data,
        mail: { type: message.type, from: message.from },
        ...(message.taint === undefined ? {} : { taint: message.taint }),
      },
      origin.actor,
      this.#along(agent, key, message, address.run),
    );
    switch (outcome.tag) {
      case 'applied':
        return { tag: 'delivered', run: address.run };
      case 'already':
        return { tag: 'already' };
      case 'error':
        return outcome;
      case 'refused':
        if (outcome.reason === 'history_full') throw new SpineError('MAILBOX_FULL', { agent, key });
        return this.#succeed(origin, agent, key, message, address);
    }
  }

  /** The run has ended: either there is a later one by now, or the key begins anew. */
  async #succeed(
    origin: Origin,
    agent: string,
    key: string,
    message: Message,
    { run, generation }: AgentAddress,
  ): Promise<PostOutcome | null> {
    const now = await this.addressOf(origin.tenant, agent, key);
    if (now !== null && now.run !== run) return null;
    const [history = []] = await this.#context.store.readHistories([{ tenant: origin.tenant, run }]);
    const state = foldRun(
      origin.tenant,
      run,
      history.map((row) => readRunEvent(row).event),
    );
    if (history.length > 0 && state.status === 'continued') return null;
    const offsets = Object.fromEntries(state.offsets);
    return this.#begin(origin, agent, message, { key, generation: generation + 1, offsets });
  }

  /** The first run of a key, or the one after an end, with the message in it. */
  async #begin(
    origin: Origin,
    agent: string,
    { id, type, from, data, taint, ...message }: Message,
    identity: { readonly key: string; readonly generation: number; readonly offsets: Readonly<Record<string, number>> },
  ): Promise<PostOutcome | null> {
    const entry = this.#catalog.agent(agent);
    if (entry === null) throw new SpineError('AGENT_UNKNOWN', { name: agent, known: this.#catalog.agentNames() });
    if (from.kind === 'topic' && from.offset <= (identity.offsets[from.partition] ?? -1)) return { tag: 'already' };
    const { tenant, actor } = origin;
    const { key, generation } = identity;
    const run = agentRunId(this.#context.ports, { tenant, agent, key, generation });
    const born = birth(this.#context, entry.manifest, {
      tenant,
      run,
      input: payloadOfJson({ key }),
      at: this.#context.store.now(),
      actor,
      cause: null,
      correlation: origin.correlation,
      traceparent: origin.traceparent,
      trigger: null,
      agent: identity,
      mail: [
        {
          data: {
            id,
            name: mailSignal,
            by: actor,
            mail: { type, from },
            ...(taint === undefined ? {} : { taint }),
          },
          payload: data,
        },
      ],
    });
    const along = this.#along(agent, key, { id, type, from, data, ...message }, run);
    const transition = birthTransition(born, along.dedupe ?? []);
    const timers = [...(transition.timers ?? []), ...(along.timers ?? [])];
    const answer = await new Promise<CommitAnswer>((settle) => {
      this.#lanes.bear({ births: [born], transition: { ...transition, timers }, actor, settle });
    });
    switch (answer.tag) {
      case 'applied':
        return { tag: 'delivered', run };
      case 'duplicate':
        return { tag: 'already' };
      case 'conflict':
      case 'fenced':
        return null;
      case 'unstorable':
        throw new SpineError('VALUE_UNSTORABLE', { path: '$', reason: answer.reason });
      case 'failed':
        throw answer.error;
    }
  }

  #along(agent: string, key: string, { id, from, data, timer }: Message, run: string): NonNullable<LaneJob['along']> {
    const timers = timer === undefined ? {} : { timers: [timer] };
    // Offsets say it better, and for ever.
    if (from.kind === 'topic') return timers;
    const dedupe: DedupeWrite = {
      scope: `mail:${agent}`,
      key: `${key} ${id}`,
      hash: this.#context.ports.hash.sha256(data === null ? '' : isBlobPayload(data) ? data.blob : data.text),
      reference: run,
      expiresAt: this.#context.store.now() + this.#context.settings.dedupeTtlMs,
    };
    return { ...timers, dedupe: [dedupe] };
  }

  #submit(
    tenant: string,
    run: string,
    command: LaneJob['commands'][number],
    actor: string,
    along: NonNullable<LaneJob['along']>,
  ): Promise<JobOutcome> {
    const key = runKey(tenant, run);
    return this.#lanes.submit({ key, tenant, run, commands: [command], actor, worker: '', lease: null, along });
  }
}

/** Deliveries of one sender. */
interface Round {
  again: boolean;
  done: Promise<void>;
}

function isOnItsWay(event: RunEvent): boolean {
  return event.type === 'message.sent' && event.data.to.kind !== 'caller';
}

/** Faults of a message's data by the schema of its type; data that is kept as a blob is looked at by the worker. */
export function messageFault(catalog: Catalog, agent: string, type: string, data: Payload | null): SpineError | null {
  const entry = catalog.agent(agent);
  if (entry === null) return new SpineError('AGENT_UNKNOWN', { name: agent, known: catalog.agentNames() });
  const check = entry.messages.get(type);
  if (check === undefined)
    return new SpineError('MESSAGE_UNKNOWN', { name: type, agent, known: [...entry.messages.keys()] });
  if (data !== null && isBlobPayload(data)) return null;
  const faults = check(data === null ? null : jsonOf(data));
  return faults.length === 0 ? null : new SpineError('INPUT_INVALID', { name: type, faults });
}

/** Who begins a key at the same time meets the others within few rounds. */
const roundsMax = 8;
/** Pause before a message is tried again that could not be delivered. */
const laterMs = 5_000;
