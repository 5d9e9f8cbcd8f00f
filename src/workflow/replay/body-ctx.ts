/**
 * `ctx` over a running body: turns each method into an identity and a piece of work, or into scopes and loops made of
 * these. Nothing here is recorded or delivered in a way of its own.
 */
import { encodeValue } from '../../core/codec.js';
import { parseDuration, type Duration } from '../../core/duration.js';
import { SpineError } from '../../core/errors.js';
import { instantMsMax } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { pathOf, type PathKey, type PathName } from '../../core/paths.js';
import type { InlinePayload } from '../../core/payload.js';
import { defaultRetry, type RetryPolicy } from '../../core/retry.js';
import type { BodyCommand, CallOptions } from '../../core/run/commands.js';
import { Cancelled } from '../cancelled.js';
import type { Capability } from '../capability.js';
import type {
  CallOptionsOf,
  Ctx,
  EmitOptions,
  MapOptions,
  RaceBranches,
  RaceResult,
  RunInfo,
  StepContext,
  StepOptions,
} from '../ctx.js';
import { makeLog, type Log } from '../log.js';
import { OptionFaults } from '../options.js';
import { retryPolicyOf, timeoutMsOf } from '../retry-options.js';
import type { Topic } from '../topic.js';
import type { UnitDetail } from './asked-unit.js';
import type { BodyRun } from './body-run.js';
import { Scope } from './scope.js';
import { StepWork, type StepRequest } from './step-work.js';
import type { Work } from './wait.js';

/** A failure of an external effect does not prove that nothing happened, so it is not tried again unasked. */
const externalRetry: RetryPolicy = { ...defaultRetry, attempts: 1 };

type AnyFn = (...given: never[]) => unknown;

/** See the top of the module. */
export class BodyCtx implements Ctx {
  readonly #body: BodyRun;
  readonly #scope: Scope;

  constructor(body: BodyRun, scope: Scope) {
    this.#body = body;
    this.#scope = scope;
  }

  step<T>(name: PathName, ...rest: readonly unknown[]): Promise<T> {
    const path = this.#claim(name);
    const request = stepRequest(path, rest);
    return this.#ask<T>(path, 'step', new StepWork(request, this.#body));
  }

  call<In, Out>(capability: Capability<string, In, Out>, input: In, options: CallOptionsOf = {}): Promise<Out> {
    const path = this.#claim(options.as ?? capability.name);
    const payload = encodeValue(input);
    const sent = callOptions(path, capability, options);
    const { name } = capability;
    return this.#ask<Out>(
      path,
      'call',
      this.#sending(payload, { capability: name }, (stored) => ({
        op: 'call',
        path,
        capability: name,
        input: stored,
        options: sent,
      })),
    );
  }

  sleep(...given: readonly [Duration] | readonly [PathName, Duration]): Promise<void> {
    const [name, duration] = given.length === 1 ? [unnamed('sleep', given[0]), given[0]] : given;
    const path = this.#claim(name);
    const ms = parseDuration(duration);
    return this.#ask<void>(path, 'timer', this.#submitting({ op: 'sleep', path, ms }));
  }

  sleepUntil(...given: readonly [Date | number] | readonly [PathName, Date | number]): Promise<void> {
    const until = given.length === 1 ? given[0] : given[1];
    const at = Number(until);
    if (!(Number.isSafeInteger(at) && Math.abs(at) <= instantMsMax)) {
      throw new SpineError('OPTIONS_INVALID', { what: 'ctx.sleepUntil', faults: ['the instant is not a valid one'] });
    }
    const path = this.#claim(given.length === 1 ? unnamed('sleep-until', at) : given[0]);
    return this.#ask<void>(path, 'timer', this.#submitting({ op: 'sleepUntil', path, at: Math.max(0, at) }));
  }

  progress(value: unknown): void {
    this.#body.checkScope(this.#scope);
    this.#body.report(encodeValue(value));
  }

  emit<In>(topic: Topic<string, In>, data: In, options: EmitOptions = {}): Promise<void> {
    const path = this.#claim(options.as ?? topic.name);
    const { id, key } = options;
    checkEventNames(path, id, key);
    const named = { ...(id === undefined ? {} : { id }), ...(key === undefined ? {} : { key }) };
    return this.#ask<void>(
      path,
      'emit',
      this.#sending(encodeValue(data), { topic: topic.name }, (stored) => ({
        op: 'emit',
        path,
        topic: topic.name,
        event: { ...named, data: stored },
      })),
    );
  }

  scope<T>(name: PathName, ...rest: readonly unknown[]): Promise<T> {
    const body = rest[rest.length - 1] as (ctx: Ctx) => T | Promise<T>;
    const key = rest.length > 1 ? (rest[0] as PathKey) : undefined;
    const path = this.#claim(name, key);
    return this.#within(new Scope(path, this.#scope), body);
  }

  shield<T>(body: (ctx: Ctx) => T | Promise<T>): Promise<T> {
    this.#body.checkScope(this.#scope);
    return this.#within(new Scope(this.#scope.path, this.#scope, true), body);
  }

  map<Item, T>(name: PathName, items: readonly Item[], ...rest: readonly unknown[]): Promise<T[]> {
    const body = rest[rest.length - 1] as (item: Item, ctx: Ctx, index: number) => T | Promise<T>;
    const options = rest.length > 1 ? (rest[0] as MapOptions<Item>) : {};
    const { key = (_: Item, index: number): PathKey => index, concurrency = limits.mapConcurrencyDefault } = options;
    if (!(Number.isInteger(concurrency) && concurrency >= 1)) {
      const faults = ['concurrency must be an integer of at least 1'];
      throw new SpineError('OPTIONS_INVALID', { what: 'ctx.map', faults });
    }
    this.#claim(name);
    // All of them now: two items of one key are a fault even if the second is never reached.
    const paths = items.map((item, index) => this.#claim(name, key(item, index)));
    return quiet(this.#mapped(items, paths, Math.min(concurrency, items.length), body));
  }

  race<Branches extends RaceBranches>(name: PathName, branches: Branches): Promise<RaceResult<Branches>> {
    return this.#contest(name, branches, 'settled') as Promise<RaceResult<Branches>>;
  }

  any<Branches extends RaceBranches>(name: PathName, branches: Branches): Promise<RaceResult<Branches>> {
    return this.#contest(name, branches, 'succeeded') as Promise<RaceResult<Branches>>;
  }

  get signal(): AbortSignal {
    return this.#scope.signal;
  }

  get log(): Log {
    return makeLog((level, message, fields) => this.#body.log(this.#scope, level, message, fields));
  }

  get run(): RunInfo {
    return this.#body.info;
  }

  now(): number {
    return this.#body.now();
  }

  random(): number {
    return this.#body.randomOf(this.#scope).next();
  }

  uuid(): string {
    return this.#body.randomOf(this.#scope).uuid();
  }

  // ---------------------------------------------------------------- identities and work

  #claim(name: PathName, key?: PathKey): string {
    this.#body.checkScope(this.#scope);
    const path = pathOf(this.#scope.path, name, key);
    this.#body.claim(path);
    return path;
  }

  #ask<T>(path: string, kind: 'step' | 'call' | 'timer' | 'emit' | 'race', work: Work): Promise<T> {
    // What comes back was put in by this very step or capability, through the codec.
    return this.#body.ask(this.#scope, path, kind, work) as Promise<T>;
  }

  #submitting(command: BodyCommand): Work {
    return { launch: () => this.#body.submit(command) };
  }

  #sending(payload: InlinePayload, about: UnitDetail, command: Parameters<BodyRun['submitWith']>[1]): Work {
    return {
      launch: () => this.#body.submitWith(payload, command),
      detail: () => ({ ...about, input: payload }),
    };
  }

  // ---------------------------------------------------------------- scopes

  /** Runs `body` with the ctx of `scope`. While it is being called, the ctx of every other scope is out of bounds. */
  #within<T>(scope: Scope, body: (ctx: Ctx) => T | Promise<T>): Promise<T> {
    return quiet(this.#entered(scope, body));
  }

  async #entered<T>(scope: Scope, body: (ctx: Ctx) => T | Promise<T>): Promise<T> {
    const outer = this.#body.entering;
    this.#body.entering = scope;
    let result: T | Promise<T>;
    try {
      result = body(new BodyCtx(this.#body, scope));
    } finally {
      this.#body.entering = outer;
    }
    try {
      return await result;
    } finally {
      scope.close();
    }
  }

  async #mapped<Item, T>(
    items: readonly Item[],
    paths: readonly string[],
    lanes: number,
    body: (item: Item, ctx: Ctx, index: number) => T | Promise<T>,
  ): Promise<T[]> {
    const group = new Scope(this.#scope.path, this.#scope);
    const results: T[] = [];
    const failures: unknown[] = [];
    const rest = items.entries();
    const lane = async (): Promise<void> => {
      for (const [index, item] of rest) {
        const scope = new Scope(paths[index] ?? '', group);
        try {
          results[index] = await this.#within(scope, (ctx) => body(item, ctx, index));
        } catch (error) {
          failures.push(error);
          group.giveUp(new Cancelled('sibling_failed'));
        }
        if (failures.length > 0) return;
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    group.close();
    if (failures.length > 0) throw failures[0];
    return results;
  }

  // ---------------------------------------------------------------- races

  #contest(name: PathName, branches: RaceBranches, until: 'settled' | 'succeeded'): Promise<Contest> {
    const path = this.#claim(name);
    const arms = Object.entries(branches).map(([branch, body]) => {
      const scope = new Scope(pathOf(path, branch), this.#scope);
      this.#body.claim(scope.path);
      return { branch, scope, result: this.#within(scope, body) };
    });
    return quiet(this.#decided(path, arms, until));
  }

  async #decided(path: string, arms: readonly Arm[], until: 'settled' | 'succeeded'): Promise<Contest> {
    const first = await firstOf(arms, until).catch((error: unknown) => {
      // All failed because all were given up: that is no outcome of the race.
      throw this.#scope.givenUp ?? error;
    });
    // Asked for only now: the decision is made of what the branches came to, and a replay must come to it as well.
    const decision = { op: 'decideRace', path, winner: first.branch } as const;
    const winner = await this.#ask<string>(path, 'race', this.#submitting(decision));
    for (const arm of arms) if (arm.branch !== winner) arm.scope.giveUp(new Cancelled('race_lost'));
    // Another branch than now, where the code was changed since: what is recorded holds.
    const won = arms.find((arm) => arm.branch === winner);
    if (won === undefined) {
      throw new SpineError('PATH_KIND_CHANGED', {
        path,
        recorded: `race won by "${winner}"`,
        asked: 'race without it',
      });
    }
    return { winner, value: await won.result };
  }
}

interface Contest {
  readonly winner: string;
  readonly value: unknown;
}

interface Arm {
  readonly branch: string;
  readonly scope: Scope;
  readonly result: Promise<unknown>;
}

/** The first arm to settle, or to succeed. Rejects with an `AggregateError` where none succeeds or there is none. */
function firstOf(arms: readonly Arm[], until: 'settled' | 'succeeded'): Promise<Arm> {
  return Promise.any(
    arms.map((arm) =>
      arm.result.then(
        () => arm,
        (error: unknown) => {
          if (until === 'settled') return arm;
          throw error;
        },
      ),
    ),
  );
}

function stepRequest(path: string, rest: readonly unknown[]): StepRequest {
  const hasInput = typeof rest[1] === 'function';
  const input = hasInput ? { value: rest[0] } : null;
  const fn = (hasInput ? rest[1] : rest[0]) as AnyFn;
  if (typeof fn !== 'function') {
    throw new SpineError('OPTIONS_INVALID', { what: `step "${path}"`, faults: ['it needs a function to run'] });
  }
  const { effect = 'idempotent', retry, timeout } = ((hasInput ? rest[2] : rest[1]) ?? {}) as StepOptions;
  const what = `step "${path}"`;
  const base = effect === 'external' ? externalRetry : defaultRetry;
  return {
    path,
    fn: input === null ? (fn as (step: StepContext) => unknown) : withInput(fn, input.value),
    input,
    effect,
    retry: retry === undefined ? base : retryPolicyOf(what, retry, base),
    timeoutMs: timeout === undefined ? null : timeoutMsOf(what, timeout),
  };
}

function withInput(fn: AnyFn, value: unknown): (step: StepContext) => unknown {
  const typed = fn as (input: unknown, step: StepContext) => unknown;
  return (step) => typed(value, step);
}

function callOptions(path: string, capability: Capability, options: CallOptionsOf): CallOptions {
  const { retry, timeout, priority } = options;
  const what = `call "${path}"`;
  if (priority !== undefined) {
    const faults = new OptionFaults(what);
    faults.integer('priority', priority, { min: 0, max: limits.priorityMax });
    faults.throwIfAny();
  }
  return {
    ...(retry === undefined ? {} : { retry: retryPolicyOf(what, retry, capability.retry) }),
    ...(timeout === undefined ? {} : { deadlineMs: timeoutMsOf(what, timeout) }),
    ...(priority === undefined ? {} : { priority }),
  };
}

/** Id and key of an event become columns of the store. Fails with OPTIONS_INVALID. */
function checkEventNames(path: string, id: string | undefined, key: string | undefined): void {
  const faults = new OptionFaults(`emit "${path}"`);
  for (const [option, value] of [
    ['id', id],
    ['key', key],
  ] as const) {
    if (value === undefined) continue;
    const fits = typeof value === 'string' && value !== '' && value.length <= limits.keyLengthMax;
    if (!fits || unstorable.test(value)) {
      faults.add(
        `${option} must be a text of 1 to ${limits.keyLengthMax} characters, without NUL or half a surrogate pair`,
      );
    }
  }
  faults.throwIfAny();
}

const unstorable = /[\0\p{Surrogate}]/u;

/** The name of a sleep that was given none; two of one length in one scope are told apart by names of their own. */
function unnamed(what: string, length: string | number): PathName {
  return [what, length];
}

/**
 * The same promise, whose rejection nobody has to take notice of: when a scope is given up, what a body left unawaited
 * must not bring down the process that other bodies share.
 */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}

function ignore(): void {}
