/** Limits as values: how much of what is allowed, and over what it is counted apart. Servers hold them (`engine/admission`). */
import type { LimitSpec } from '../core/admission/limit.js';
import { limitOptionNames, readLimit, type LimitOptions } from '../core/admission/limit-options.js';
import { OptionFaults } from './options.js';

/** A limit as a value: for what names it, or for every inference of an app. */
export interface Limit<Name extends string = string> {
  readonly kind: 'limit';
  readonly name: Name;
  readonly spec: LimitSpec;
}

/**
 * Defines a limit, for `limits` of a capability or a model, or of the app where it holds for every inference:
 * `limit('gpu', { concurrency: 4 })`, `limit('tokens', { rate: { tokens: 100_000, per: '1m' }, by: ['tenant'] })`,
 * `limit('spend', { budget: { amount: 20, per: 'day' }, by: ['tenant'], scope: 'inferences' })`. Work that finds no room
 * waits. Fails with OPTIONS_INVALID, naming all faults.
 */
export function limit<const Name extends string>(name: Name, options: LimitOptions): Limit<Name> {
  const faults = new OptionFaults(`limit "${name}"`);
  faults.name(name);
  faults.unknownNames(options, limitOptionNames);
  const spec = readLimit(name, options, (fault) => faults.add(fault));
  faults.throwIfAny();
  return { kind: 'limit', name, spec };
}

/** The limits that something names: values of `limit`, each once. */
export function readLimits(given: readonly Limit[] | undefined, faults: OptionFaults): readonly Limit[] {
  if (given === undefined) return [];
  const list: unknown = given;
  if (!Array.isArray(list)) {
    faults.add('limits must be a list');
    return [];
  }
  const names = new Set<string>();
  return (list as readonly Partial<Limit>[]).filter((one, i): one is Limit => {
    const isLimit = (one as Partial<Limit> | null)?.kind === 'limit';
    if (!isLimit) faults.add(`limits[${i}] is not a limit; make one with limit()`);
    else if (names.has(one.name ?? '')) faults.add(`limits names "${one.name}" twice`);
    names.add(one?.name ?? '');
    return isLimit;
  });
}
