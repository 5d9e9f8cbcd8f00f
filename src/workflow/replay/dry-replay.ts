/**
 * A replay that only looks: runs a body over what a run has recorded, hands it every recorded outcome, begins nothing, and
 * says how far the body came. Steps, calls and events that are not recorded stay open, so no effect ever happens twice.
 */
import { encodeValue } from '../../core/codec.js';
import type { InlinePayload, Payload } from '../../core/payload.js';
import type { Ports } from '../../core/ports.js';
import { isEnd, type EndCommand } from '../../core/run/commands.js';
import type { RunEvent } from '../../core/run/events.js';
import { exportedText, type ExportedHistory } from '../../core/run/exported-history.js';
import type { Journal } from '../../core/run/journal.js';
import { utf8Length } from '../../core/utf8.js';
import { beginActivation } from '../activation.js';
import { findModel, findTopic, type AnyApp } from '../app.js';
import type { Model } from '../model.js';
import type { Topic } from '../topic.js';
import type { AnyWorkflow } from '../workflow.js';
import type { AskedUnit } from './asked-unit.js';

/** What a dry replay is made of. */
export interface DryReplayInput {
  readonly workflow: AnyWorkflow;
  readonly tenant: string;
  readonly run: string;
  readonly version: string | null;
  readonly startedAt: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly input: Payload;
  readonly journal: Journal;
  /** The text of a payload that is kept as a blob. */
  readonly load: (payload: Payload) => InlinePayload;
  /** A model of the app; it is never asked. */
  readonly model: (name: string) => Model | null;
  /** A topic of the app, for its upcasters. */
  readonly topic: (name: string) => Topic | null;
  /** What the input was written under, where it is the data of an event. */
  readonly event: { readonly topic: string; readonly schema: string } | null;
}

/** How far the body came. */
export interface DryReplay {
  /** All that it asked for, in the order in which it asked. */
  readonly asked: ReadonlyMap<string, AskedUnit>;
  /** What it asked for and was not told of when it came to rest. */
  readonly open: ReadonlySet<string>;
  /** How it ended; null = it waits. */
  readonly end: EndCommand | null;
  /** It waits, and for nothing that it asked for through `ctx`. */
  readonly stuck: boolean;
}

/** What a recorded run brings along, whatever is made of it: an input that a person gave last was written under no schema. */
export function recordedInput(
  app: AnyApp,
  history: ExportedHistory,
): Pick<DryReplayInput, 'tenant' | 'run' | 'startedAt' | 'labels' | 'input' | 'event' | 'model' | 'topic' | 'load'> {
  const { tenant, run, events } = history;
  const [started] = events;
  const edited = events.findLast((event) => event.type === 'input.edited' && event.data.path === null)?.payload;
  return {
    tenant,
    run,
    startedAt: started?.at ?? 0,
    labels: (started?.type === 'run.started' ? started.data.labels : null) ?? {},
    input: edited ?? started?.payload ?? encodeValue(undefined),
    event: edited === undefined ? writtenOf(started) : null,
    model: (name) => findModel(app, name),
    topic: (name) => findTopic(app, name),
    load: (payload) => exportedText(history, payload),
  };
}

/** What the input was written under, where it is the data of an event whose topic has versions. */
function writtenOf(started: RunEvent | undefined): DryReplayInput['event'] {
  if (started?.type !== 'run.started' || started.data.trigger?.schema === undefined) return null;
  const { topic, schema } = started.data.trigger;
  return { topic, schema };
}

/** How a body ended, as people say it. */
export function endWord({ op }: EndCommand): 'succeeded' | 'failed' | 'refused' | 'continued' | 'cancelled' {
  switch (op) {
    case 'succeed':
      return 'succeeded';
    case 'refuse':
      return 'refused';
    case 'continueAsNew':
      return 'continued';
    case 'endCancelled':
      return 'cancelled';
    case 'fail':
    case 'abandon':
      return 'failed';
    default:
      return op satisfies never;
  }
}

/** Turns of the event loop without any sign of life after which a body counts as at rest. */
const quietTurns = 10;
/** How long a body that waits for nothing of ours may take: it may be loading a module, or hashing in a thread, ms. */
const foreignMs = 250;

/** Replays. `ports` are those of the runtime: the body itself is given a clock that stands still. Never rejects. */
export async function dryReplay(parts: DryReplayInput, ports: Ports): Promise<DryReplay> {
  const { workflow, tenant, run, version, startedAt, labels, input, journal, load, model, topic, event } = parts;
  const asked = new Map<string, AskedUnit>();
  const open = new Set<string>();
  const turns: (() => void)[] = [];
  let signs = 0;
  let end: EndCommand | null = null;
  const now = (): number => startedAt;
  const activation = beginActivation(
    workflow,
    {
      tenant,
      run,
      workflow: workflow.name,
      version,
      attempt: 1,
      startedAt,
      labels,
      input,
      ...(event === null ? {} : { event }),
      journal,
    },
    {
      ports: {
        clock: { now, monotonicMs: () => 0 },
        timers: { after: () => () => undefined, turn: (fn) => void turns.push(fn) },
        random: ports.random,
        hash: ports.hash,
      },
      parkAfterMs: Number.MAX_SAFE_INTEGER,
      submit(commands) {
        signs++;
        end ??= commands.find(isEnd) ?? null;
        return signs;
      },
      store: async ({ codec, text }) => ({ codec, blob: ports.hash.sha256(text), size: utf8Length(text) }),
      load: async (payload) => load(payload),
      model,
      topic,
      log: () => undefined,
      onlooker: {
        looksOnly: true,
        asked(unit) {
          signs++;
          asked.set(unit.path, unit);
          open.add(unit.path);
        },
        over(path) {
          signs++;
          open.delete(path);
        },
      },
    },
  );
  let quiet = 0;
  let movedMs = ports.clock.monotonicMs();
  const isAtRest = (): boolean =>
    quiet >= quietTurns && (open.size > 0 || ports.clock.monotonicMs() - movedMs >= foreignMs);
  while (end === null && !isAtRest()) {
    const before = signs;
    const batch = turns.splice(0);
    for (const turn of batch) turn();
    await new Promise<void>((resolve) => ports.timers.turn(resolve));
    quiet++;
    if (batch.length === 0 && signs === before) continue;
    quiet = 0;
    movedMs = ports.clock.monotonicMs();
  }
  // The signal of the body is aborted; what it still holds is let go.
  const left = new Set(open);
  activation.abort('ended');
  return { asked, open: left, end, stuck: end === null && left.size === 0 };
}
