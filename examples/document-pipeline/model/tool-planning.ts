/**
 * How the built-in model decides which tools to ask for. The rules look at the form of the question and at the numbers,
 * dates and abbreviations of the sentences that answer it; where no rule applies it asks for none. They are few and real:
 * whatever they combine stands in the documents, and the tools do the work.
 */
import type { RankedSentence } from './sentence-ranking.ts';
import { pluralUnit, type Quantity, quantitiesOf } from './quantities.ts';

/** A tool that the model wants to be called. */
export type PlannedCall =
  | { readonly name: 'calculate'; readonly arguments: { readonly expression: string; readonly unit: string } }
  | { readonly name: 'date_diff'; readonly arguments: { readonly from: string; readonly to: string } }
  | { readonly name: 'lookup_term'; readonly arguments: { readonly term: string } };

/** Sentences below these are too far from the question to take numbers from. */
const sentencesMax = 8;

interface Conversion {
  readonly asks: RegExp;
  readonly from: string;
  readonly unit: string;
  readonly expression: (value: number) => string;
}

const conversions: readonly Conversion[] = [
  { asks: /\b(mph|miles per hour)\b/i, from: 'km/h', unit: 'mph', expression: (v) => `${v} / 1.609344` },
  { asks: /\bin feet\b/i, from: 'metre', unit: 'feet', expression: (v) => `${v} / 0.3048` },
  { asks: /\bin miles\b(?! per)/i, from: 'kilometre', unit: 'miles', expression: (v) => `${v} / 1.609344` },
  { asks: /\bfahrenheit\b/i, from: 'degrees Celsius', unit: '°F', expression: (v) => `${v} * 9 / 5 + 32` },
];

/** The calls that help with the question, at most one of a kind of arithmetic and one per term. */
export function planTools(question: string, ranked: readonly RankedSentence[]): PlannedCall[] {
  const sentences = ranked.slice(0, sentencesMax);
  const calls = [conversion(question, sentences) ?? rate(question, sentences), dates(question, sentences)];
  return [...calls.filter((call) => call !== null), ...terms(question)];
}

function conversion(question: string, sentences: readonly RankedSentence[]): PlannedCall | null {
  const wanted = conversions.find(({ asks }) => asks.test(question));
  if (wanted === undefined) return null;
  const found = sentences.flatMap(({ text }) => quantitiesOf(text)).find(({ unit }) => unit === wanted.from);
  return found === undefined ? null : calculation(wanted.expression(found.value), wanted.unit);
}

/** A total over a rate ("how long does it last") or a rate times a count ("how much in a year"). */
function rate(question: string, sentences: readonly RankedSentence[]): PlannedCall | null {
  const long = /\bhow long\b/i.test(question);
  const much = /\bhow (much|many)\b/i.test(question);
  if (!long && !much) return null;
  const quantities = [question, ...sentences.map(({ text }) => text)].flatMap(quantitiesOf);
  for (const { value, unit, per } of quantities) {
    if (per === null || value === 0) continue;
    const matches = (other: Quantity): boolean => other.per === null && other.unit === (long ? unit : per);
    const other = quantities.find(matches);
    if (other === undefined) continue;
    return long
      ? calculation(`${other.value} / ${value}`, pluralUnit(per))
      : calculation(`${value} * ${other.value}`, pluralUnit(unit));
  }
  return null;
}

function dates(question: string, sentences: readonly RankedSentence[]): PlannedCall | null {
  if (!/\b(between|since|passed|apart|interval|elapsed)\b/i.test(question)) return null;
  if (!/\b(days?|weeks?|months?|years?|long|time)\b/i.test(question)) return null;
  const inSentences = [question, ...sentences.map(({ text }) => text)].map(datesOf);
  const found = inSentences.find((dates) => dates.length >= 2) ?? [...new Set(inSentences.flat())];
  const [from, to] = found.slice(0, 2).sort();
  return from === undefined || to === undefined ? null : { name: 'date_diff', arguments: { from, to } };
}

function terms(question: string): PlannedCall[] {
  const abbreviations = question.match(/\b[A-Z]{2,6}\b/g) ?? [];
  const asked = /\bwhat (?:does|do) (?:an? |the )?["']?([\w -]{2,40}?)["']? mean\b/i.exec(question)?.[1];
  const words = new Map([...abbreviations, ...(asked === undefined ? [] : [asked])].map((w) => [w.toLowerCase(), w]));
  return [...words.values()].slice(0, 3).map((term) => ({ name: 'lookup_term', arguments: { term } }));
}

function datesOf(text: string): string[] {
  return [...new Set(text.match(/\b\d{4}-\d{2}-\d{2}\b/g) ?? [])];
}

function calculation(expression: string, unit: string): PlannedCall {
  return { name: 'calculate', arguments: { expression, unit } };
}
