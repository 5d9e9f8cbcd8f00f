/** Finds numbers with their units in sentences, rates such as "18 litres per hour" included. */

/** A number that a sentence states. Units are in the singular and lower case, except where capitals mean something. */
export interface Quantity {
  readonly value: number;
  readonly unit: string;
  /** The unit below the line: `hour` in "18 litres per hour". */
  readonly per: string | null;
}

const pattern =
  /(?<![\w.,-])(\d[\d,]*(?:\.\d+)?)\s*(km\/h|degrees Celsius|observing nights|[A-Za-z]+)(?:\s+(?:per|an?|each)\s+([a-z]+))?/g;

/** Words that stand after a number and are no unit. */
const noUnits = new Set(['and', 'or', 'to', 'of', 'in', 'at', 'on', 'from', 'the', 'places', 'by', 'for', 'it']);

/** Quantities of a text in their order. */
export function quantitiesOf(text: string): Quantity[] {
  return [...text.matchAll(pattern)].flatMap((found) => {
    const value = Number((found[1] ?? '').replaceAll(',', ''));
    const unit = singular(found[2] ?? '');
    if (Number.isNaN(value) || noUnits.has(unit)) return [];
    return [{ value, unit, per: found[3] === undefined ? null : singular(found[3]) }];
  });
}

/** The unit for a number that is not one: `hour` becomes `hours`, abbreviations stay. */
export function pluralUnit(unit: string): string {
  return /^[a-z]{3,}$/.test(unit) && !unit.endsWith('s') ? `${unit}s` : unit;
}

function singular(word: string): string {
  if (word === 'observing nights') return 'night';
  return /^[a-z]{4,}s$/.test(word) ? word.slice(0, -1) : word;
}
