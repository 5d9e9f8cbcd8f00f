/**
 * What the model is told: the question and the numbered passages that it may use, and the tools that it may ask for. The
 * built-in model of the package reads the same prompt as a provider's, so there is one way through the pipeline.
 */
import type { FunctionTool, PromptMessage } from 'eventspine/models';
import type { Passage } from '../retrieval/search.ts';

const instruction = [
  'You answer questions about a collection of documents, in at most five sentences.',
  'Use only the numbered passages and what tools return. Put the number of the passage, such as [2], after each statement.',
  'If the passages do not answer the question, say so.',
  'Never do arithmetic or count days yourself: call a tool. Call several tools at once where you can.',
].join(' ');

/** The conversation that a question begins with. */
export function promptOf(question: string, passages: readonly Passage[]): PromptMessage[] {
  const listed = passages.map((passage, i) => `[${i + 1}] ${sourceOf(passage)}\n${passage.text}`).join('\n\n');
  const text = `Question: ${oneLine(question)}\n\nPassages:\n\n${listed}`;
  return [
    { role: 'system', content: instruction },
    { role: 'user', content: [{ type: 'text', text }] },
  ];
}

/** Where a passage stands, for people: file, page and heading. */
export function sourceOf(passage: Pick<Passage, 'document' | 'heading' | 'page'>): string {
  const page = passage.page === undefined ? '' : `, page ${passage.page}`;
  return `${passage.document}${page}, "${passage.heading}"`;
}

/** The tools of this pipeline, as models are offered them. */
export const offeredTools: readonly FunctionTool[] = [
  tool('calculate', 'Does arithmetic with + - * / ^ and parentheses.', {
    expression: { type: 'string', description: 'for example 2400 / 18' },
    unit: { type: 'string', description: 'unit of the result' },
  }),
  tool('date_diff', 'Counts the days from one date to another.', {
    from: { type: 'string', description: 'YYYY-MM-DD' },
    to: { type: 'string', description: 'YYYY-MM-DD' },
  }),
  tool('lookup_term', 'Looks up how the documents define a word or an abbreviation.', {
    term: { type: 'string', description: 'the word' },
  }),
];

function tool(name: string, description: string, properties: Readonly<Record<string, unknown>>): FunctionTool {
  const inputSchema = { type: 'object', properties, required: Object.keys(properties), additionalProperties: false };
  return { type: 'function', name, description, inputSchema };
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
