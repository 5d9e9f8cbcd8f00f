/**
 * Planted bugs: what the simulator must find, or it is the bug. Each is a wrapper or a flag outside of the product, so
 * that the product has no code for being wrong. A mutant says which property its breach is expected to show under.
 */
import type {
  ClaimedTask,
  EntryQuery,
  EntryRow,
  EntryWrite,
  Outcome,
  ScheduleWrite,
  Store,
  Transition,
} from '../../src/store/index.js';
import { deadEventSpace } from '../../src/core/topics/dead-event.js';
import { cursorOf, stateOf, type PullCursor } from '../../src/core/topics/pull-cursor.js';
import { subscriptionCursorSpace } from '../../src/core/topics/subscription.js';
import { bridgeOffsetSpace } from '../../src/core/topics/bridge.js';
import { unwantedFailure } from '../../src/core/run/inference.js';
import type { Submission, WorkerMessage } from '../../src/protocol/worker.js';
import { subscriptionSettingSpace } from '../../src/engine/topics/subscriptions.js';
import { subscribedWorkflow } from '../../src/testing/simulator/manifest.js';
import type { FaultKind } from '../../src/testing/simulator/nemesis.js';
import type { ProgramTaste } from '../../src/testing/simulator/program.js';
import type { Flaws } from '../../src/testing/simulator/simulation.js';

/** One planted bug. */
export interface Mutant {
  readonly name: string;
  readonly flaws: Flaws;
  /** The faults without which it does no harm; default: a random subset of all. */
  readonly kinds?: readonly FaultKind[];
  /** How many servers it takes to do harm. Default: 1. */
  readonly servers?: number;
  /** It does harm to agents, which only real workers run. */
  readonly agents?: true;
  /** It does harm where work is pushed to an endpoint, which only real workers do. */
  readonly push?: true;
  /** Where the search begins, for what shows in few worlds. Default 1. */
  readonly from?: number;
  /** A breach of another property does not count as found. Default: any will do. */
  readonly property?: string;
  /** It does harm where the model has storms. */
  readonly storms?: true;
  /** It does harm to programs of the AI SDK, which only real workers run. */
  readonly ai?: true;
  /** It does harm to inferences. */
  readonly inferences?: true;
  /** It does harm where inferences are asked otherwise, which only bodies of real workers are. */
  readonly remedies?: true;
  /** What the programs have, where it takes much of one thing to do harm. */
  readonly taste?: Partial<ProgramTaste>;
  /** It does harm only where something is limited. */
  readonly limited?: true;
  /** It does harm to shadows of models, which only real workers ask. */
  readonly shadowed?: true;
  /** It does harm to bridges to a bus outside. */
  readonly bridged?: true;
  /** It does harm to subscriptions. */
  readonly subscribed?: true;
  /** It does harm to topics that do not keep or take everything. */
  readonly topics?: true;
  /** It does harm to checkpoints of the fleet. */
  readonly folded?: true;
  /** It does harm to events that are pulled. */
  readonly pulled?: true;
  /** It does harm to API keys. */
  readonly keyed?: true;
  /** It does harm only where a new version is rolled out. */
  readonly rollout?: true;
}

/** The store with some of its methods replaced. */
function altered(inner: Store, changes: Partial<Store>): Store {
  return new Proxy(inner, {
    get(target, property) {
      const own = (changes as Record<string | symbol, unknown>)[property];
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Reads kept answers in another way than it is asked to. */
function readsAnswers(
  change: (query: EntryQuery) => EntryQuery,
  changed: (row: EntryRow) => EntryRow = (row) => row,
): (inner: Store) => Store {
  return (inner) =>
    altered(inner, {
      readEntries: async (query) =>
        query.space.startsWith('prediction') && query.key !== undefined
          ? (await inner.readEntries(change(query))).map(changed)
          : inner.readEntries(query),
    });
}

/** As if it had been kept just now, and for ever. */
function agelessly(row: EntryRow): EntryRow {
  if (row.space !== 'predictions') return row;
  const eternal = { ...(JSON.parse(row.value) as object), keptAt: row.at + 1e9, expiresAt: row.at + 1e12 };
  return { ...row, value: JSON.stringify(eternal) };
}

/** Whether an agent commits what its handler came to. */
function handles({ events = [] }: Transition): boolean {
  return events.some(({ type, envelope }) => type === 'step.completed' && envelope.includes('"handle:'));
}

/** Writes entries of a space without a look at what they were. */
function unguarded(transition: Transition, space: string): Transition {
  const loose = (entry: EntryWrite): EntryWrite => {
    if (entry.space !== space) return entry;
    const { expected: _, ...rest } = entry;
    return rest;
  };
  return { ...transition, entries: (transition.entries ?? []).map(loose) };
}

/** The event after the last one of a trim goes, too. */
function trimsMore(transition: Transition, topic: string): Transition {
  const trims = (transition.trims ?? []).map((trim) =>
    trim.topic === topic ? { ...trim, offsets: [...trim.offsets, Math.max(...trim.offsets) + 1] } : trim,
  );
  return { ...transition, trims };
}

/** The run that another goes on in begins with nothing but its first event. */
function leavesMail(transition: Transition): Transition {
  const { runs = [], events = [] } = transition;
  if (!events.some(({ type }) => type === 'run.continued')) return transition;
  const next = runs.find(({ expected }) => expected === 0)?.row;
  return {
    ...transition,
    runs: runs.map((write) => (write.row === next ? { ...write, row: { ...write.row, head: 1 } } : write)),
    events: events.filter(({ run, seq }) => run !== next?.run || seq === 1),
  };
}

function forgetsOffsets(transition: Transition): Transition {
  const { events = [] } = transition;
  if (!events.some(({ type }) => type === 'run.continued')) return transition;
  const forget = (envelope: string): string => envelope.replace(/"offsets":\{[^}]*\}/, '"offsets":{}');
  return { ...transition, events: events.map((event) => ({ ...event, envelope: forget(event.envelope) })) };
}

const nothingButCalls: Partial<ProgramTaste> = {
  maps: true,
  calls: true,
  sleeps: false,
  emits: false,
  waits: false,
  children: false,
  chains: false,
  sagas: false,
  streams: false,
};

/** Without those by which a server does not hear for long what others have written. */
const stormKinds: readonly FaultKind[] = ['server crash', 'worker crash', 'store ambiguous', 'store slow'];

function isHalfOpen(write: EntryWrite): boolean {
  return write.space === 'model-breakers' && write.op === 'put' && write.value.includes('"half-open"');
}

/** Values that are shared are read as if they were not there, but where they are changed. */
function readsNothingOf(space: string, inner: Store): Store {
  return altered(inner, {
    readEntries: async (query) =>
      query.space === space && query.key === undefined ? [] : await inner.readEntries(query),
  });
}

function withoutEntries(isLost: (write: EntryWrite) => boolean): (transition: Transition) => Transition {
  return ({ entries = [], ...rest }) => ({ ...rest, entries: entries.filter((write) => !isLost(write)) });
}

function withTransitions(change: (transition: Transition) => Transition): Flaws {
  return { store: (inner) => altered(inner, { apply: (all) => inner.apply(all.map(change)) }) };
}

/** Acknowledges at once and writes later; what is not written when the server dies is gone. */
function writeBehind(inner: Store): Store {
  let held: readonly Transition[] = [];
  const flush = async (): Promise<void> => {
    const batch = held;
    held = [];
    if (batch.length > 0) await inner.apply(batch);
  };
  return altered(inner, {
    apply: async (transitions): Promise<Outcome[]> => {
      await flush();
      const births = transitions.every(
        (t) => t.lease === undefined && (t.runs ?? []).every((run) => run.expected === 0),
      );
      const keyed = transitions.some((t) => (t.dedupe ?? []).length > 0);
      if (!births || keyed) return inner.apply(transitions);
      held = transitions;
      return transitions.map((t) => ({ tag: 'applied', positions: (t.events ?? []).map(() => 0), offsets: [] }));
    },
    claim: async (request) => {
      await flush();
      return inner.claim(request);
    },
  });
}

/** Hands every task that it has handed out once more, to the next that asks. */
function claimsTwice(inner: Store): Store {
  let last: ClaimedTask[] = [];
  return altered(inner, {
    claim: async (request) => {
      const claimed = await inner.claim(request);
      if (claimed.length > 0 || last.length === 0) {
        if (claimed.length > 0) last = claimed;
        return claimed;
      }
      const again = last.map((found, i) => ({
        ...found,
        task: { ...found.task, session: request.session, assignment: request.assignmentFrom + i },
      }));
      last = [];
      return again.slice(0, request.limit);
    },
  });
}

/** Looks neither at leases nor at the head that a change expects. */
function unfenced(inner: Store): Store {
  return altered(inner, {
    apply: async (transitions) => {
      const bare: Transition[] = [];
      for (const { lease: _, runs, ...rest } of transitions) {
        const found = (runs ?? []).map(async ({ row }) => {
          const head = (await inner.readRun(row.tenant, row.run))?.head ?? 0;
          return { row, expected: head };
        });
        bare.push(runs === undefined ? rest : { ...rest, runs: await Promise.all(found) });
      }
      return inner.apply(bare);
    },
  });
}

/** Writes what was decided on one version over the next, as the guard would never let it. */
function readsLate(inner: Store): Store {
  let before: Awaited<ReturnType<Store['readSchedule']>> = null;
  const late = (row: NonNullable<typeof before>): NonNullable<typeof before> => {
    const shown =
      before !== null && before.name === row.name && everyNth(4) ? { ...before, version: row.version } : row;
    before = row;
    return shown;
  };
  return altered(inner, { dueSchedules: async (limit) => (await inner.dueSchedules(limit)).map(late) });
}

function withoutBite(write: ScheduleWrite): ScheduleWrite {
  if (write.row === null || !write.name.startsWith(':redrive/')) return write;
  const job = JSON.parse(write.row.body) as object;
  return { ...write, row: { ...write.row, body: JSON.stringify({ ...job, bite: null }) } };
}

/** Moves schedules from whatever version they are at. */
function unguardedSchedules(inner: Store): Store {
  return altered(inner, {
    apply: async (transitions) => {
      const bare = transitions.map(async ({ schedules, ...rest }): Promise<Transition> => {
        if (schedules === undefined) return rest;
        const found = schedules.map(async (write) => ({
          ...write,
          expected: (await inner.readSchedule(rest.tenant, write.name))?.version ?? 0,
        }));
        return {
          ...rest,
          schedules: (await Promise.all(found)).filter(({ expected, row }) => expected < (row?.version ?? Infinity)),
        };
      });
      return inner.apply(await Promise.all(bare));
    },
  });
}

let countdown = 0;

/** True each `n`th time. */
function everyNth(n: number): boolean {
  countdown += 1;
  return countdown % n === 0;
}

/** Openings of the store in this world, by epoch, and who got each duty first. */
const openings = new Map<number, Store>();
const firstHolders = new Map<string, number>();

/** Starts the counters of mutants anew, so that each seed is reproducible. */
export function resetMutants(): void {
  countdown = 0;
  openings.clear();
  firstHolders.clear();
}

/** Claims for a session whoever owns it: as its owner would, behind its back. */
function claimsForOthers(inner: Store): Store {
  openings.set(inner.epoch, inner);
  return altered(inner, {
    claim: async (request) => {
      const row = (await inner.listSessions()).find(({ session }) => session === request.session);
      return (openings.get(row?.owner ?? 0) ?? inner).claim(request);
    },
  });
}

/** Claims bodies of one version for those that have the other. */
function mixesVersions(inner: Store): Store {
  return altered(inner, {
    claim: (request) =>
      inner.claim({
        ...request,
        queues: request.queues.flatMap(({ queue, limit }) => {
          const other = queue.endsWith('@1') ? queue.replace('@1', '@2') : queue.replace('@2', '@1');
          return other === queue
            ? [{ queue, limit }]
            : [
                { queue, limit },
                { queue: other, limit },
              ];
        }),
      }),
  });
}

/** Whoever has a duty first has it for ever, dead or alive. */
function keepsDuties(inner: Store): Store {
  return altered(inner, {
    holdDuty: async (duty) => {
      const holder = firstHolders.get(duty) ?? inner.epoch;
      firstHolders.set(duty, holder);
      return holder === inner.epoch;
    },
  });
}

const isIndexed = (write: EntryWrite): boolean => write.space.startsWith('index:');

/** The index is looked through only where an event has come into it since: what came before a wait is never found. */
function looksOnlyForward(inner: Store): Store {
  const fresh = new Set<string>();
  return altered(inner, {
    apply: (transitions) => {
      for (const { entries = [] } of transitions) {
        for (const write of entries) {
          if (write.op === 'put' && write.space === 'wait:noted') fresh.delete(write.key);
          if (isIndexed(write)) fresh.add(write.key);
        }
      }
      return inner.apply(transitions);
    },
    readEntries: async (query) =>
      query.space === 'index:noted' && !fresh.has(query.key ?? '') ? [] : inner.readEntries(query),
  });
}

/** Whoever folds the history of a run does not see that its waits have come to something. */
function forgetsOutcomes(inner: Store): Store {
  return altered(inner, {
    readHistories: async (keys) =>
      (await inner.readHistories(keys)).map((rows) =>
        rows.map((row) => (row.type === 'wait.satisfied' ? { ...row, type: 'approval.commented' } : row)),
      ),
  });
}

/** Whoever folds the history of a graph does not see what was asked for: nodes are asked again. */
function forgetsAsking(inner: Store): Store {
  return altered(inner, {
    readHistories: async (keys) =>
      (await inner.readHistories(keys)).map((rows) =>
        rows.some(({ type }) => type === 'graph.started')
          ? rows.map((row) => (row.type === 'call.scheduled' ? { ...row, type: 'approval.commented' } : row))
          : rows,
      ),
  });
}

/** Whoever folds the history of a run does not see events of this type; what stands for them is done again. */
function forgets(type: string, inner: Store): Store {
  return altered(inner, {
    readHistories: async (keys) =>
      (await inner.readHistories(keys)).map((rows) =>
        rows.map((row) => (row.type === type ? { ...row, type: 'approval.commented' } : row)),
      ),
  });
}

/** Whoever folds the history of a run does not see what has come of the tools of a program, or of its models. */
function forgetsInside(type: 'step.completed' | 'inference.completed', inner: Store): Store {
  return altered(inner, {
    readHistories: async (keys) =>
      (await inner.readHistories(keys)).map((rows) =>
        rows.map((row) =>
          row.type === type && /"path":"[^"]*\/(tool|infer|stream):/.test(row.envelope)
            ? { ...row, type: 'approval.commented' }
            : row,
        ),
      ),
  });
}

/** Nobody hears that an inference is not wanted any more: what is said of it is of no attempt that there is. */
function keepsUnwanted(message: WorkerMessage): WorkerMessage {
  if (message.t !== 'submit') return message;
  const heard = (command: Submission['commands'][number]): Submission['commands'][number] =>
    command.op === 'failInference' && command.failure.code === unwantedFailure.code
      ? { ...command, attempt: command.attempt + 1_000 }
      : command;
  return { ...message, items: message.items.map((item) => ({ ...item, commands: item.commands.map(heard) })) };
}

/** Errands stay where they are when they are seen to, a few times, and what came of them is forgotten. */
function repeatsErrands(inner: Store): Store {
  return altered(forgets('child.ended', inner), {
    apply: (transitions) =>
      inner.apply(
        transitions.map((transition) => ({
          ...transition,
          timers: (transition.timers ?? []).filter(
            (write) => write.op === 'set' || !isOfChild(write.name) || !everyNth(2),
          ),
        })),
      ),
  });
}

const isOfChild = (name: string): boolean => name.startsWith(':child:');

/** Without the timers that `isLost` names. */
function withoutErrands(isLost: (name: string) => boolean): Flaws {
  return withTransitions((transition) => ({
    ...transition,
    timers: (transition.timers ?? []).filter((write) => write.op === 'clear' || !isLost(write.name) || !everyNth(3)),
  }));
}

/** All planted bugs. */
export const mutants: readonly Mutant[] = [
  {
    name: 'a former owner of the store writes on, unfenced',
    from: 50,
    flaws: { store: unfenced, lateWrites: true },
    kinds: ['server crash', 'store slow', 'cut'],
  },
  {
    name: 'a lost call is queued again under its old token',
    flaws: withTransitions((transition) => ({
      ...transition,
      tasks: (transition.tasks ?? []).flatMap((write) =>
        write.op === 'requeue'
          ? [
              { op: 'close' as const, run: write.run, task: write.task.task },
              { op: 'open' as const, run: write.run, task: write.task },
            ]
          : [write],
      ),
    })),
  },
  { name: 'starts are acknowledged before they are durable', flaws: { store: writeBehind } },
  { name: 'idempotency keys are not kept', flaws: withTransitions((transition) => ({ ...transition, dedupe: [] })) },
  { name: 'a task is handed out twice', flaws: { store: claimsTwice } },
  {
    name: 'releases are forgotten',
    flaws: { store: (inner) => altered(inner, { release: async (leases) => leases.length }) },
  },
  {
    name: 'delayed tasks are never readied',
    flaws: { store: (inner) => altered(inner, { promoteDue: async () => 0 }) },
  },
  {
    name: 'timers come early',
    flaws: {
      store: (inner) =>
        altered(inner, {
          dueTimers: async (limit) => {
            const due = await inner.dueTimers(limit);
            if (due.length > 0) return due;
            const next = await inner.listRuns({ tenant: 'acme', limit: 50 });
            const timers = await Promise.all(next.items.map((row) => inner.readTimers(row.tenant, row.run)));
            return timers.flat().filter((timer) => timer.fireAt - inner.now() < 500);
          },
        }),
    },
  },
  {
    name: 'some timers are not kept',
    flaws: withTransitions((transition) => ({
      ...transition,
      timers: (transition.timers ?? []).filter((write) => write.op === 'clear' || !everyNth(7)),
    })),
  },
  {
    name: 'crashes do not count as attempts',
    flaws: {
      store: (inner) =>
        altered(inner, {
          listLeases: async (query) => {
            const alive = new Set((await inner.listSessions()).map((row) => row.session));
            const leases = await inner.listLeases(query);
            return leases.map((row) =>
              alive.has(row.session ?? '') ? row : { ...row, assignment: Number.MAX_SAFE_INTEGER },
            );
          },
        }),
    },
  },
  {
    name: 'dead sessions are not found',
    flaws: { store: (inner) => altered(inner, { listSessions: async () => [] }) },
  },
  {
    name: 'ended runs leave their tasks',
    flaws: withTransitions((transition) => ({
      ...transition,
      tasks: (transition.tasks ?? []).filter((write) => write.op !== 'close' || !everyNth(11)),
    })),
  },
  {
    name: 'published events are lost between the tables',
    flaws: withTransitions((transition) =>
      (transition.runs ?? []).length > 0 && everyNth(13) ? { ...transition, publishes: [] } : transition,
    ),
  },
  {
    name: 'dead letters are not written',
    flaws: withTransitions((transition) => ({ ...transition, deadLetters: [] })),
  },
  {
    name: 'pages of events skip the first',
    flaws: {
      store: (inner) =>
        altered(inner, {
          readEvents: async (query) => (await inner.readEvents(query)).slice(query.after > 0 ? 1 : 0),
        }),
    },
  },
  {
    name: 'the journal misses the last event',
    flaws: {
      store: (inner) =>
        altered(inner, {
          readHistories: async (keys) =>
            (await inner.readHistories(keys)).map((rows) => (rows.length > 3 ? rows.slice(0, -1) : rows)),
        }),
    },
  },
  {
    name: 'the cursor of a topic moves on before its events are in the index',
    flaws: withTransitions((transition) =>
      (transition.entries ?? []).some(isIndexed) && everyNth(3)
        ? { ...transition, entries: (transition.entries ?? []).filter((write) => !isIndexed(write)) }
        : transition,
    ),
  },
  { name: 'waits do not look back', from: 40, flaws: { store: looksOnlyForward } },
  { name: 'a signal is consumed twice', flaws: { store: forgetsOutcomes } },
  {
    name: 'entries of waits stay when the wait is over',
    flaws: withTransitions((transition) => ({
      ...transition,
      entries: (transition.entries ?? []).filter((write) => write.op !== 'drop' || !everyNth(5)),
    })),
    property: 'P12',
  },
  {
    name: 'some entries of waits and children are not written',
    flaws: withTransitions((transition) => ({
      ...transition,
      entries: (transition.entries ?? []).filter((write) => write.op !== 'put' || write.run === '' || !everyNth(5)),
    })),
    property: 'P12',
  },
  {
    name: 'graphs are not planned by anybody but who has committed the cause',
    flaws: withTransitions((transition) => ({
      ...transition,
      timers: (transition.timers ?? []).filter((write) => write.op === 'clear' || write.name !== ':advance'),
    })),
  },
  { name: 'what a graph has asked for is forgotten', flaws: { store: forgetsAsking } },
  { name: 'messages overtake each other', flaws: { reorder: 0.2 } },
  {
    name: 'a slot is never given back by what has ended',
    from: 95,
    flaws: withTransitions(withoutEntries((write) => write.space === 'tickets' && write.key === 'settled')),
    limited: true,
  },
  {
    name: 'who grants does not compare the fence',
    from: 740,
    flaws: withTransitions(({ entries = [], ...rest }) => ({
      ...rest,
      entries: entries.map((write) => {
        const { expected: _, ...unguarded } = write;
        return unguarded;
      }),
    })),
    kinds: ['store cut'],
    servers: 2,
    limited: true,
    taste: nothingButCalls,
    property: 'P16',
  },
  {
    name: 'what was counted is not written',
    flaws: withTransitions(withoutEntries((write) => write.space === 'limit-counters')),
    limited: true,
  },
  {
    name: 'who holds shares is not written',
    flaws: withTransitions(withoutEntries((write) => write.space === 'limit-holders')),
    limited: true,
  },
  {
    name: 'a call is queued without being admitted',
    flaws: withTransitions(({ tasks = [], ...rest }) => ({
      ...rest,
      tasks: tasks.map((write) =>
        write.op === 'open' ? { ...write, task: { ...write.task, limitKey: null } } : write,
      ),
    })),
    limited: true,
    property: 'P16',
  },
  {
    name: 'a ticket is not written',
    flaws: withTransitions(withoutEntries((write) => write.space === 'tickets' && write.key === 'waiting')),
    limited: true,
  },
  { name: 'steps run again after their commit', flaws: { worker: { rerunsCompleted: true } } },
  {
    name: 'an external step that another life had begun is run again',
    flaws: { worker: { repeatsExternal: true } },
    property: 'P4',
  },
  { name: 'unanswered submissions are not repeated', flaws: { worker: { forgetsUnanswered: true } } },
  { name: 'bodies park over what they have not seen', flaws: { worker: { parksBlindly: true } } },
  { name: 'a received assignment is forgotten', flaws: { worker: { forgetsAssignments: true } } },
  { name: 'a session is claimed for by who does not own it', flaws: { store: claimsForOthers }, servers: 2, from: 175 },
  {
    name: 'a session that is taken stays with its old owner',
    flaws: {
      store: (inner) =>
        altered(inner, {
          takeSession: async (session) => {
            const row = (await inner.listSessions()).find((found) => found.session === session);
            return row === undefined ? null : { ...row, owner: inner.epoch };
          },
        }),
    },
    servers: 2,
  },
  {
    name: 'neighbours are never heard of',
    flaws: { store: (inner) => altered(inner, { readFeedKeys: async ({ after }) => ({ keys: [], upTo: after }) }) },
    servers: 2,
  },
  {
    name: 'the feed is followed from too late a position',
    flaws: { store: (inner) => altered(inner, { feedHead: async () => (await inner.feedHead()) + 20 }) },
    servers: 2,
  },
  {
    name: 'pages of the feed skip one that is told late',
    flaws: {
      store: (inner) =>
        altered(inner, {
          readFeedKeys: async (query) => {
            const { keys, upTo } = await inner.readFeedKeys(query);
            return { keys: keys.length > 1 ? keys.slice(1) : keys, upTo };
          },
        }),
    },
    servers: 2,
  },
  {
    name: 'what was told is told again',
    flaws: {
      store: (inner) =>
        altered(inner, {
          readEvents: (query) =>
            inner.readEvents(
              query.after > 2 && query.after < 1e9 && everyNth(5) ? { ...query, after: query.after - 1 } : query,
            ),
        }),
    },
    servers: 2,
  },
  {
    name: 'a message that comes again is taken for a new one',
    flaws: withTransitions(({ dedupe = [], ...rest }) => ({
      ...rest,
      dedupe: dedupe.filter(({ scope }) => !scope.startsWith('mail:')),
    })),
    agents: true,
  },
  {
    name: 'the state of an agent is committed without what it has sent',
    flaws: withTransitions((transition) =>
      handles(transition) && everyNth(3) ? { ...transition, publishes: [], dedupe: [] } : transition,
    ),
    agents: true,
  },
  {
    name: 'messages of agents are not on any list of what is to be sent',
    flaws: withTransitions((transition) => ({
      ...transition,
      timers: (transition.timers ?? []).filter(({ op, name }) => op !== 'set' || !name.startsWith(':send:')),
    })),
    agents: true,
  },
  { name: 'an agent that goes on as new leaves its mail behind', flaws: withTransitions(leavesMail), agents: true },
  {
    name: 'an agent that goes on as new forgets how far it has read',
    from: 1_515,
    flaws: withTransitions(forgetsOffsets),
    kinds: ['server crash', 'store ambiguous'],
    agents: true,
  },
  { name: 'the end of a child is not told', flaws: withoutErrands(isOfChild), property: 'P3' },
  {
    name: 'children are not told that their parent has left them',
    from: 1_160,
    flaws: withoutErrands((name) => name === ':parent:cancel'),
    property: 'P23',
  },
  { name: 'the end of a child is told again', flaws: { store: repeatsErrands }, property: 'P3' },
  { name: 'sagas are undone from the front', flaws: { worker: { undoes: 'forwards' } }, property: 'P25' },
  { name: 'sagas are undone twice', flaws: { worker: { undoes: 'twice' } }, property: 'P4' },
  { name: 'what a saga has not done is undone', flaws: { worker: { undoes: 'everything' } }, property: 'P25' },
  {
    name: 'chunks that are repeated are added again',
    flaws: { store: (inner) => forgets('stream.appended', inner) },
    property: 'P19',
  },
  {
    name: 'a redrive of many does not write down what it has in hand',
    flaws: withTransitions((transition) => ({
      ...transition,
      ...(transition.schedules === undefined ? {} : { schedules: transition.schedules.map(withoutBite) }),
    })),
    property: 'redrives',
  },
  { name: 'schedules are moved from any version', flaws: { store: unguardedSchedules }, servers: 2 },
  {
    name: 'schedules are never due',
    flaws: { store: (inner) => altered(inner, { dueSchedules: async () => [] }) },
  },
  {
    name: 'a tick is noted and starts nothing',
    flaws: withTransitions((transition) => {
      const { runs: _, events: __, tasks: ___, timers: ____, ...rest } = transition;
      return transition.schedules === undefined ? transition : rest;
    }),
  },
  {
    name: 'a schedule is read as it was before its last move',
    flaws: { store: (inner) => readsLate(inner) },
  },
  { name: 'a duty is never given up', flaws: { store: keepsDuties }, servers: 2 },
  {
    name: 'a duty is given to everybody',
    flaws: {
      store: (inner) =>
        altered(inner, {
          holdDuty: async (duty, ttlMs) => {
            await inner.holdDuty(duty, ttlMs);
            return true;
          },
        }),
    },
    servers: 2,
  },
  { name: 'a run is leased to a worker of another version', flaws: { store: mixesVersions }, rollout: true },
  {
    name: 'a migrated run stays in the queue of its old version',
    flaws: withTransitions((transition) => {
      const migrated = (transition.events ?? []).find((event) => event.type === 'run.migrated');
      if (migrated === undefined) return transition;
      const { from } = (JSON.parse(migrated.envelope) as { data: { from: string } }).data;
      return {
        ...transition,
        tasks: (transition.tasks ?? []).map((write) =>
          write.op === 'open' ? { ...write, task: { ...write.task, queue: `workflow:program@${from}` } } : write,
        ),
      };
    }),
    rollout: true,
  },
  {
    name: 'an endpoint works on a request that it receives twice',
    flaws: { endpoint: { forgetsIds: true } },
    push: true,
    property: 'P4',
  },
  {
    name: 'an endpoint that died with its work done is taken for one that was never reached',
    flaws: { endpoint: { deniesBeginning: true } },
    push: true,
    property: 'P4',
  },
  {
    name: 'an answer that was paid for is not seen when the run is folded',
    flaws: { store: (inner) => forgets('inference.completed', inner) },
    inferences: true,
    property: 'P4',
  },
  {
    name: 'answers of one tenant serve another',
    flaws: { store: readsAnswers((query) => ({ ...query, tenant: 'acme' })) },
    taste: { inferences: true, caches: true },
    property: 'cache',
  },
  {
    name: 'an answer serves after its time',
    flaws: { store: readsAnswers((query) => query, agelessly) },
    taste: { inferences: true, caches: true },
    property: 'cache',
  },
  {
    name: 'an answer to another question serves',
    flaws: { store: readsAnswers(({ tenant, space, limit }) => ({ tenant, space, limit })) },
    taste: { inferences: true, caches: true },
    property: 'cache',
  },
  {
    name: 'a provider is called before the intent is recorded',
    flaws: { worker: { infers: 'before the intent' } },
    inferences: true,
    property: 'P4',
  },
  {
    name: 'a replay calls the provider',
    flaws: { worker: { infers: 'in a replay' } },
    inferences: true,
    property: 'P4',
  },
  {
    name: 'a probe is not written down, and each server makes its own',
    flaws: withTransitions(withoutEntries(isHalfOpen)),
    storms: true,
    servers: 3,
    kinds: stormKinds,
    property: 'endpoints',
  },
  {
    name: 'a breaker that is open is not heard of by the other servers',
    flaws: { store: (inner) => readsNothingOf('model-breakers', inner) },
    storms: true,
    servers: 2,
    kinds: stormKinds,
    property: 'endpoints',
  },
  {
    name: 'a pause that an endpoint has asked for is not heard of by the other servers',
    flaws: { store: (inner) => readsNothingOf('endpoint-pauses', inner) },
    from: 26,
    storms: true,
    servers: 2,
    kinds: stormKinds,
    property: 'endpoints',
  },
  {
    name: 'a tool is run again after a crash between it and the model',
    flaws: { store: (inner) => forgetsInside('step.completed', inner) },
    ai: true,
    from: 5,
    property: 'P4',
  },
  {
    name: 'an answer that a program was given is lost in a crash',
    flaws: { store: (inner) => forgetsInside('inference.completed', inner) },
    ai: true,
    property: 'P4',
  },
  {
    name: 'what a life of a program has asked for that is over stays open',
    flaws: { garbled: keepsUnwanted },
    ai: true,
    limited: true,
    from: 15,
  },
  {
    name: 'an ambiguous call is made again, whatever was declared',
    flaws: { worker: { infers: 'whatever the policy' } },
    inferences: true,
    property: 'P4',
  },
  {
    name: 'the answer of a shadow is given to the run',
    flaws: { shadow: 'answers' },
    shadowed: true,
    property: 'shadows',
  },
  {
    name: 'a replay asks the shadow',
    flaws: { shadow: 'in a replay' },
    shadowed: true,
    property: 'shadows',
  },
  {
    name: 'two servers go on with one chain of checkpoints',
    flaws: withTransitions((transition) => ({
      ...transition,
      entries: (transition.entries ?? []).map((entry) => {
        const { expected: _, ...unguarded } = entry;
        return entry.space === 'fleet-checkpoint' ? unguarded : entry;
      }),
    })),
    folded: true,
    servers: 3,
    from: 635,
    property: 'fleet',
  },
  {
    name: 'the fold of the feed is not shown some events',
    flaws: {
      store: (inner) =>
        altered(inner, {
          readFeed: async (query) => (await inner.readFeed(query)).filter(({ type }) => type !== 'call.completed'),
        }),
    },
    folded: true,
    property: 'fleet',
  },
  {
    name: 'a reroute is forgotten by a replay',
    flaws: withTransitions((transition) => ({
      ...transition,
      events: (transition.events ?? []).map((row) =>
        row.type === 'inference.failed' ? { ...row, envelope: row.envelope.replace(/"remedy":\{[^}]*\},?/, '') } : row,
      ),
    })),
    remedies: true,
    property: 'P4',
  },
  {
    name: 'a bridge moves its position whoever has moved it meanwhile',
    from: 27,
    flaws: withTransitions((transition) => unguarded(transition, bridgeOffsetSpace)),
    bridged: true,
    servers: 2,
    kinds: ['server pause', 'server crash'],
    property: 'P21',
  },
  {
    name: 'the position of a bridge is not stored with what it stands behind',
    flaws: withTransitions(withoutEntries(({ space }) => space === bridgeOffsetSpace)),
    bridged: true,
    property: 'P21',
  },
  {
    name: 'a bridge keeps no keys of what it has brought in',
    flaws: withTransitions((transition) =>
      (transition.entries ?? []).some(({ space }) => space === bridgeOffsetSpace)
        ? { ...transition, dedupe: [] }
        : transition,
    ),
    bridged: true,
    property: 'P2',
  },
  {
    name: 'the bus is told how far a bridge is before it is stored',
    flaws: { bus: 'commits first' },
    bridged: true,
    property: 'P21',
  },
  {
    name: 'a bridge takes for published what the bus has refused',
    flaws: { bus: 'says yes' },
    bridged: true,
    property: 'P21',
  },
  {
    name: 'what comes after a message that the bus has refused goes out before it',
    flaws: { bus: 'overtakes' },
    bridged: true,
    property: 'P21',
  },
  {
    name: 'a cursor of a subscription is written whatever it was',
    flaws: bothDelivering((transition) => unguarded(transition, subscriptionCursorSpace)),
    servers: 2,
    subscribed: true,
    property: 'P2',
  },
  {
    name: 'a delivery does not ask whether it is paused',
    flaws: withTransitions((transition) =>
      (transition.runs ?? []).length === 0
        ? transition
        : {
            ...transition,
            entries: (transition.entries ?? []).filter(({ space }) => space !== subscriptionSettingSpace),
          },
    ),
    servers: 3,
    subscribed: true,
    from: 35,
    property: 'P20',
  },
  {
    name: 'a run that has begun counts as ended',
    flaws: { store: endsEarly },
    subscribed: true,
    property: 'P10',
  },
  {
    name: 'a page of a topic leaves an event out',
    flaws: { store: leavesOut },
    subscribed: true,
    from: 85,
    property: 'P20',
  },
  {
    name: 'a rotation undoes a revocation that it has not seen',
    flaws: withTransitions((transition) => unguarded(transition, 'api-key')),
    keyed: true,
    servers: 2,
    property: 'keys',
  },
  {
    name: 'two servers make a key of one name at the same time',
    flaws: withTransitions((transition) => unguarded(transition, 'api-key-name')),
    keyed: true,
    servers: 2,
    property: 'keys',
  },
  {
    name: 'two servers hand out one partition at the same time',
    flaws: withTransitions((transition) => unguarded(transition, subscriptionCursorSpace)),
    pulled: true,
    servers: 3,
    from: 4,
    property: 'P20',
  },
  {
    name: 'an event is settled when it is handed out',
    flaws: withTransitions((transition) => ({
      ...transition,
      entries: (transition.entries ?? []).map((entry) => {
        if (entry.op !== 'put' || entry.space !== subscriptionCursorSpace) return entry;
        const state = stateOf(JSON.parse(entry.value) as PullCursor);
        return { ...entry, value: JSON.stringify(cursorOf({ ...state, open: [] })) };
      }),
    })),
    pulled: true,
    property: 'P20',
  },
  {
    name: 'the cursor goes on without the dead event',
    flaws: withTransitions((transition) => ({
      ...transition,
      entries: (transition.entries ?? []).filter(({ space }) => space !== deadEventSpace),
    })),
    pulled: true,
    property: 'P20',
  },
  {
    name: 'what follows an event under its key is not kept behind it',
    flaws: withTransitions((transition) => ({
      ...transition,
      entries: (transition.entries ?? []).map((entry) => {
        if (entry.op !== 'put' || entry.space !== subscriptionCursorSpace) return entry;
        const state = stateOf(JSON.parse(entry.value) as PullCursor);
        const open = state.open.map((one) => ({ ...one, key: `${one.key} ${one.offset}` }));
        return { ...entry, value: JSON.stringify(cursorOf({ ...state, open })) };
      }),
    })),
    pulled: true,
    property: 'P10',
  },
  {
    name: 'an event of an older epoch is taken',
    flaws: withTransitions((transition) =>
      transition.publishes === undefined ? transition : unguarded(transition, 'topic-writer'),
    ),
    topics: true,
    servers: 2,
    property: 'P22',
  },
  {
    name: 'the state of a source is overwritten',
    flaws: withTransitions((transition) => unguarded(transition, 'topic-source')),
    topics: true,
    servers: 2,
    property: 'sources',
  },
  {
    name: 'retention takes one event too many',
    flaws: withTransitions((transition) => trimsMore(transition, 'recent')),
    topics: true,
    property: 'P19',
  },
  {
    name: 'compaction takes one event too many',
    flaws: withTransitions((transition) => trimsMore(transition, 'table')),
    topics: true,
    property: 'P1',
  },
  {
    name: 'what was trimmed is not written down',
    flaws: withTransitions((transition) => ({
      ...transition,
      entries: (transition.entries ?? []).filter(({ space }) => space !== 'topic-low'),
    })),
    topics: true,
    property: 'P19',
  },
];

/** Every server believes to have the duty of deliveries, as two may for a moment, and what it writes is changed. */
function bothDelivering(change: (transition: Transition) => Transition): Flaws {
  return {
    store: (inner) =>
      altered(inner, {
        holdDuty: async (duty, ttlMs) => duty === 'deliveries' || inner.holdDuty(duty, ttlMs),
        apply: (all) => inner.apply(all.map(change)),
      }),
  };
}

function endsEarly(inner: Store): Store {
  return altered(inner, {
    readRun: async (tenant, run) => {
      const row = await inner.readRun(tenant, run);
      return row?.workflow === subscribedWorkflow && row.status !== 'failed' ? { ...row, status: 'succeeded' } : row;
    },
  });
}

/** The second of several events of a topic is missing. */
function leavesOut(inner: Store): Store {
  return altered(inner, {
    readEvents: async (query) => {
      const rows = await inner.readEvents(query);
      return query.stream.startsWith('noted/') && query.limit > 1 ? rows.filter((_, i) => i !== 1) : rows;
    },
  });
}
