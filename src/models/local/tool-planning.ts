/**
 * How the built-in model decides which of the offered tools to ask for. Three kinds it knows by name (`calculate`,
 * `date_diff`, `lookup_term`), with rules that look at the form of the question and at the numbers, dates and abbreviations
 * of the sentences that answer it. Any other it asks for when the question has a word of the tool's name and a value for
 * everything that the tool requires. Where no rule applies it asks for none. Whatever the rules combine stands in the
 * conversation, and the tools do the work.
 */
import type { FunctionTool } from '../language-model.js';
import { isRecord } from '../openai/transport.js';
import type { RankedSentence } from './sentence-ranking.js';
import { termsOf } from './terms.js';
import { pluralUnit, type Quantity, quantitiesOf } from './quantities.js';

/** A tool that the model wants to be called. */
export interface PlannedCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

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

/** Most calls of tools that are not known by name. */
const otherCallsMax = 3;

/** The calls that help with the question, at most one of a kind of arithmetic and one per term. */
export function planTools(
  question: string,
  ranked: readonly RankedSentence[],
  offered: readonly FunctionTool[],
): PlannedCall[] {
  const sentences = ranked.slice(0, sentencesMax);
  const calls = [conversion(question, sentences) ?? rate(question, sentences), dates(question, sentences)];
  const known = [...calls.filter((call) => call !== null), ...terms(question)];
  const others = offered.filter(({ name }) => !knownTools.includes(name)).flatMap((tool) => other(question, tool));
  return [...known.filter(({ name }) => offered.some((tool) => tool.name === name)), ...others.slice(0, otherCallsMax)];
}

const knownTools: readonly string[] = ['calculate', 'date_diff', 'lookup_term'];

/** A call of a tool that nothing is known of but its declaration. */
function other(question: string, { name, inputSchema }: FunctionTool): PlannedCall[] {
  const wanted = new Set(termsOf(question));
  const words = name.replaceAll(/([a-z])([A-Z])/g, '$1 $2').replaceAll(/[_-]/g, ' ');
  if (!termsOf(words).some((term) => wanted.has(term))) return [];
  const schema: Readonly<Record<string, unknown>> = isRecord(inputSchema) ? inputSchema : {};
  const properties = isRecord(schema['properties']) ? schema['properties'] : {};
  const required = Array.isArray(schema['required']) ? schema['required'].map(String) : [];
  const values = required.map((property) => [property, argument(question, properties[property])] as const);
  return values.some(([, value]) => value === undefined) ? [] : [{ name, arguments: Object.fromEntries(values) }];
}

/** What the question says for one argument; undefined = nothing. */
function argument(question: string, schema: unknown): unknown {
  if (!isRecord(schema)) return undefined;
  if (Array.isArray(schema['enum']))
    return schema['enum'].find((one) => question.toLowerCase().includes(String(one).toLowerCase()));
  if (schema['type'] === 'number' || schema['type'] === 'integer') {
    const found = /-?\d+(?:\.\d+)?/.exec(question)?.[0];
    return found === undefined ? undefined : Number(found);
  }
  if (schema['type'] !== 'string') return undefined;
  const quoted = /["\u201c]([^"\u201d]+)["\u201d]/.exec(question)?.[1];
  const named = /(?<=[\p{Ll}\p{N},;] )\p{Lu}[\p{L}\p{N}-]*(?: \p{Lu}[\p{L}\p{N}-]*)*/u.exec(question)?.[0];
  return quoted ?? named ?? question;
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
