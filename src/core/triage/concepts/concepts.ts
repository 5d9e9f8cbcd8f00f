/**
 * All concepts, each with one expression out of its patterns: one search of a failure per concept takes a quarter of the
 * time of one per pattern.
 */
import { answered } from './answered.js';
import { asked } from './asked.js';
import { caller } from './caller.js';
import { capacity } from './capacity.js';
import type { Concept } from './concept.js';
import { machinery } from './machinery.js';
import { size } from './size.js';

/** A concept that can be looked for. */
export interface SearchableConcept extends Concept {
  /** Matches where any of the patterns does. */
  readonly expression: RegExp;
}

const all: readonly Concept[] = [...size, ...capacity, ...caller, ...asked, ...answered, ...machinery];

let searchable: readonly SearchableConcept[] | null = null;

/** All concepts over words. Their expressions are made on first use: a program that never fails does not pay for them. */
export function concepts(): readonly SearchableConcept[] {
  searchable ??= all.map((concept) => ({
    ...concept,
    expression: new RegExp(concept.patterns.map(({ source }) => `(?:${source})`).join('|')),
  }));
  return searchable;
}
