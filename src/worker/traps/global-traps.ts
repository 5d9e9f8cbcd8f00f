/**
 * Traps on what the runtime offers to everybody: clock, chance, timers, network. While somebody holds them they are
 * replaced by functions that look from where they are called; from anywhere but a trapped body they do what they always do.
 *
 * Invariant: with the last holder gone, the originals are back, unless somebody else has put in theirs meanwhile.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

/** Where code runs: in a body, whose `spring` is called before the trapped function, or in a step of it. */
export type Place =
  | { readonly in: 'body'; readonly spring: (what: string, use: string) => void }
  | { readonly in: 'step'; readonly path: string }
  | { readonly in: 'engine' };

/** The place of the code under way. Promises carry it on. */
export const place = new AsyncLocalStorage<Place>();

type AnyFunction = (this: unknown, ...given: never[]) => unknown;

interface Trap {
  readonly owner: object;
  readonly name: string;
  readonly what: string;
  readonly use: string;
}

const inStep = 'inside a ctx.step or a capability';
const clockUse = `Use ctx.now(), or read the clock ${inStep}.`;
const chanceUse = `Use ctx.random() or ctx.uuid(), or draw ${inStep}.`;
const waitUse = 'Use ctx.sleep().';
const networkUse = `Call it ${inStep}.`;

const traps: readonly Trap[] = [
  { owner: Date, name: 'now', what: 'calls Date.now()', use: clockUse },
  { owner: performance, name: 'now', what: 'calls performance.now()', use: clockUse },
  { owner: Math, name: 'random', what: 'calls Math.random()', use: chanceUse },
  { owner: crypto, name: 'randomUUID', what: 'calls crypto.randomUUID()', use: chanceUse },
  { owner: crypto, name: 'getRandomValues', what: 'calls crypto.getRandomValues()', use: chanceUse },
  { owner: globalThis, name: 'setTimeout', what: 'calls setTimeout()', use: waitUse },
  { owner: globalThis, name: 'setInterval', what: 'calls setInterval()', use: waitUse },
  { owner: globalThis, name: 'fetch', what: 'calls fetch()', use: networkUse },
];

let holders = 0;
let restore: (() => void)[] = [];

/** Sets the traps, unless they are set; returns what lets go of them. Idempotent. */
export function holdGlobalTraps(): () => void {
  if (holders++ === 0) restore = [...traps.map(set), setDate()];
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    if (--holders > 0) return;
    for (const undo of restore) undo();
    restore = [];
  };
}

function look(what: string, use: string): void {
  const here = place.getStore();
  if (here?.in === 'body') here.spring(what, use);
}

function set({ owner, name, what, use }: Trap): () => void {
  const own = Object.getOwnPropertyDescriptor(owner, name);
  const real = Reflect.get(owner, name) as AnyFunction | undefined;
  if (typeof real !== 'function') return () => undefined;
  const trapped = function (this: unknown, ...given: never[]): unknown {
    look(what, use);
    return real.apply(this, given);
  };
  // What else is known of the function, such as the promisified form of a timer, stays known.
  Object.defineProperties(trapped, Object.getOwnPropertyDescriptors(real));
  Object.defineProperty(owner, name, {
    value: trapped,
    configurable: true,
    writable: true,
    enumerable: own?.enumerable ?? false,
  });
  return () => {
    if (Reflect.get(owner, name) !== trapped) return;
    if (own === undefined) Reflect.deleteProperty(owner, name);
    else Object.defineProperty(owner, name, own);
  };
}

/** `new Date()` and `Date()` read the clock; `new Date(given)` does not. */
function setDate(): () => void {
  const real = globalThis.Date;
  const trapped: DateConstructor = new Proxy(real, {
    construct(target, given, newTarget) {
      if (given.length === 0) look('calls new Date()', clockUse);
      return Reflect.construct(target, given, newTarget === trapped ? target : newTarget) as object;
    },
    apply(target, self, given) {
      look('calls Date()', clockUse);
      return Reflect.apply(target, self, given) as string;
    },
  });
  globalThis.Date = trapped;
  return () => {
    if (globalThis.Date === trapped) globalThis.Date = real;
  };
}
