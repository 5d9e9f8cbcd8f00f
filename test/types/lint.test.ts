import { expect, it } from 'vitest';
import { waitingMethods } from '../../src/eslint/workflow-code.js';
import type { Ctx } from 'eventspine';

type Waiting = {
  [Name in keyof Ctx]: Ctx[Name] extends (...args: never[]) => Promise<unknown> ? Name : never;
}[keyof Ctx];

/** The compiler sees to it that this is every method of `ctx` that gives a promise. */
const waiting: Readonly<Record<Waiting, true>> = {
  ai: true,
  any: true,
  approve: true,
  ask: true,
  call: true,
  child: true,
  context: true,
  continueAsNew: true,
  emit: true,
  infer: true,
  map: true,
  outcome: true,
  race: true,
  saga: true,
  scope: true,
  shield: true,
  sleep: true,
  sleepUntil: true,
  start: true,
  step: true,
  tell: true,
  waitFor: true,
};

it('the lint rules know every method of ctx that gives a promise', () => {
  expect([...waitingMethods].sort()).toEqual(Object.keys(waiting).sort());
});
