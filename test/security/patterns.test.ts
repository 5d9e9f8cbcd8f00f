/**
 * No regular expression of ours takes longer than its text is long, whoever writes the text. Every literal of `src/` is looked
 * at by a detector; what it cannot clear is named here, with what keeps its text short or its work small. Triage is left to
 * `classify.test.ts`, which times its many expressions over the longest texts that they read.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isSafePattern } from 'redos-detector';
import { parseSync } from 'vite';
import { describe, expect, it } from 'vitest';
import { jsonIn } from '../../src/workflow/infer/answer-schema.js';

const root = fileURLToPath(new URL('../../src/', import.meta.url));

/** Patterns that may take the square of a text, and why that does not matter. A pattern that is gone is to go from here as well. */
const once = 'each place is tried once: the loop does not take what it begins with';
const demo = 'the built-in model reads questions of its users, who wait for nobody else';
const harmless: Readonly<Record<string, string>> = {
  [String.raw`/(?:^|,) *respond-async(?:$|[ ,;])/i`]: once,
  [String.raw`/(?:^|,) *wait=(\d{1,4})(?:$|[ ,;])/i`]: once,
  [String.raw`/<(?=\/?untrusted:)/giu`]: 'there is no loop; the detector does not read it',
  [String.raw`/[\0\\]|%(?:2e|2f|5c|00|25)/i`]: 'there is no loop; the detector does not read it',
  [String.raw`/(?:^|,)\s{0,9}read-token\s{0,9}(?:=\s{0,9}"?(\d{1,9})"?\s{0,9})?(?:;|,|$)/`]: 'no loop is open',
  [String.raw`/(?<![\w.,-])(\d[\d,]*(?:\.\d+)?)\s*(km\/h|degrees Celsius|observing nights|[A-Za-z]+)(?:\s+(?:per|an?|each)\s+([a-z]+))?/g`]:
    demo,
  [String.raw`/(\d+(?:\.\d+)?)(ms|d|h|m|s)/g`]: 'what a provider says of its limits, cut to a header',
  [String.raw`/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g`]: 'after the whole of at most 64 characters was looked at',
  [String.raw`/:\d*$/`]: once,
  [String.raw`/;\s*charset="?([^\s;"]+)/i`]: once,
  [String.raw`/=+$/`]: 'at most two are there: another expression has seen to it',
  [String.raw`/["\u201c]([^"\u201d]+)["\u201d]/`]: demo,
  [String.raw`/[?#].*$/`]: once,
  [String.raw`/[\r\n]+$/`]: 'a line, which has its end only there',
  [String.raw`/\$(\d+)::text/g`]: once,
  [String.raw`/\.\d+$/`]: once,
  [String.raw`/\/([^/]+)\/stream\/?$/`]: once,
  [String.raw`/\/+$/`]: 'an address out of the options of the program',
  [String.raw`/\/.*$/`]: once,
  [String.raw`/\/\/[^/@]*@/`]: once,
  [String.raw`/\/\/[^@/]*@/`]: once,
  [String.raw`/\/again:\d+$/`]: once,
  [String.raw`/\bwhat (?:does|do) (?:an? |the )?["']?([\w -]{2,40}?)["']? mean\b/i`]: 'no loop is open',
  [String.raw`/\ufffd+$/`]: 'at most 123 bytes',
  [String.raw`/\{(\w+)\}/g`]: once,
  [String.raw`/^(\[[0-9a-fA-F:.]+\]|[^\s:/]+):\d{1,5}$/`]: 'an address out of the options of the program',
  [String.raw`/^Question: (.+)\n\nPassages:\n\n?([\s\S]*)$/`]: demo,
  [String.raw`/^[._-]+|-+$/g`]: 'the name of a new project',
};

interface Literal {
  readonly file: string;
  readonly pattern: string;
  readonly flags: string;
}

function literals(): Literal[] {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.tsx?$/.test(file) && !/\.test\./.test(file))
    .sort();
  const found = new Map<string, Literal>();
  const visit = (file: string, node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    if ('regex' in node && node.regex !== null && node.regex !== undefined) {
      const { pattern, flags } = node.regex as Omit<Literal, 'file'>;
      found.set(`/${pattern}/${flags}`, { file, pattern, flags });
    }
    for (const child of Object.values(node)) visit(file, child);
  };
  for (const file of files) visit(file, parseSync(file, readFileSync(`${root}${file}`, 'utf8')).program);
  return [...found.values()];
}

function isSafe({ pattern, flags }: Literal): boolean {
  const options = {
    maxSteps: 5_000,
    // Steps decide: what is not decided by then is not decided on a faster machine either.
    timeout: 20_000,
    unicode: flags.includes('u'),
    caseInsensitive: flags.includes('i'),
    dotAll: flags.includes('s'),
    multiLine: flags.includes('m'),
  };
  // Sticky ones are tried at one place only.
  const tried = flags.includes('y') ? `^(?:${pattern})` : pattern;
  try {
    return isSafePattern(tried, options).safe;
  } catch {
    // What the detector cannot read (a class with NUL, whatever the case) it has not cleared.
    return false;
  }
}

const all = literals();

describe('the expressions of the source', () => {
  it('take no longer than their texts, but for those that are named here', { timeout: 90_000 }, () => {
    expect(all.length).toBeGreaterThan(500);
    const outside = all.filter(({ file }) => !file.startsWith('core/triage/'));
    const unsafe = outside.filter((literal) => !isSafe(literal)).map(({ pattern, flags }) => `/${pattern}/${flags}`);
    expect(unsafe.sort()).toEqual(Object.keys(harmless).sort());
  });

  it('that are not there any more: an answer of a model that is all fence and line breaks', () => {
    const from = performance.now();
    const fence = '```';
    expect(jsonIn(`${fence}${'\n'.repeat(200_000)}x`)).toBeNull();
    expect(jsonIn(`${fence}json\n${`\n ${fence}ts`.repeat(50_000)}`)).toBeNull();
    expect(performance.now() - from).toBeLessThan(2_000);
  });
});
