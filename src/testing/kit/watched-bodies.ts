/**
 * Bodies in the hands of a test: what they ask for and run is noted, and fakes stand in the place of the functions of
 * their steps.
 */
import type { ActivationHost, BeginActivation, LogRecord, StepCall, StepContext } from '../../workflow/index.js';
import type { UserWork } from './user-work.js';
import type { VirtualTime } from './virtual-time.js';

/** Takes the place of the function of a step. `input` is undefined where the step has none. */
export type StepFake = (input: unknown, step: StepContext) => unknown;

/** What is needed to watch. */
export interface WatchOptions {
  readonly work: UserWork;
  readonly time: VirtualTime;
  readonly steps: Readonly<Record<string, StepFake>>;
  readonly log: (record: LogRecord) => void;
}

/**
 * A body with more on record stays in memory while it waits. A loop of a thousand sleeps would otherwise be replayed a
 * thousand times, each time at a greater length.
 */
const parkedEntriesMax = 40;

/** `begin`, watched. */
export function watchedBodies(begin: BeginActivation, options: WatchOptions): BeginActivation {
  const { work, steps, log } = options;
  return (definition, input, host) => {
    const { run, workflow } = input;
    const open = new Set<string>();
    let recorded = input.journal.entries.length;
    const watched: ActivationHost = {
      ports: host.ports,
      get parkAfterMs() {
        return recorded > parkedEntriesMax ? Number.MAX_SAFE_INTEGER : host.parkAfterMs;
      },
      ...(host.valueBytesMax === undefined ? {} : { valueBytesMax: host.valueBytesMax }),
      submit: (commands) => host.submit(commands),
      store: (payload) => host.store(payload),
      load: (payload) => host.load(payload),
      model: (name) => host.model?.(name) ?? null,
      mirror: (inference) => host.mirror?.(inference),
      remedies: host.remedies ?? {},
      ...(host.tools === undefined ? {} : { tools: host.tools }),
      log: (record) => {
        log(record);
        host.log(record);
      },
      onlooker: {
        asked: ({ path }) => void open.add(path),
        over(path) {
          recorded++;
          open.delete(path);
        },
        busy: (path) => {
          const entry = work.begin(`ai "${path}"`, run);
          return () => work.end(entry);
        },
        step: (step) => {
          if (step.hosts === true) return called(step, steps);
          const entry = work.begin(`step "${step.path}"`, run, step.path);
          return ending(
            () => called(step, steps),
            () => work.end(entry),
          );
        },
      },
    };
    const activation = begin(definition, input, watched);
    work.watch(activation, run, workflow, open);
    return activation;
  };
}

function called(step: StepCall, fakes: Readonly<Record<string, StepFake>>): unknown {
  const fake = fakeOf(step.path, fakes);
  return fake === undefined ? step.run() : fake(step.input, step.context);
}

/** By the path, or by the path without its keys. */
function fakeOf(path: string, fakes: Readonly<Record<string, StepFake>>): StepFake | undefined {
  const plain = path.replace(/:[^/]*/g, '');
  for (const name of [path, plain]) if (Object.hasOwn(fakes, name)) return fakes[name];
  return undefined;
}

/** Calls `act`, and `end` when that has come to its end, whatever the end. */
export function ending<T>(act: () => T, end: () => void): T {
  let result: T;
  try {
    result = act();
  } catch (error) {
    end();
    throw error;
  }
  if (!(result instanceof Promise)) {
    end();
    return result;
  }
  result.then(end, end);
  return result;
}
