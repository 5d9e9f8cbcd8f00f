/** `eventspine classify`: failures in, what they are out, line by line, without a server. */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { classifyFailure } from '../../core/triage/classify.js';
import type { FailureInput } from '../../core/triage/reading.js';
import { boundedLines, type Line } from '../bounded-lines.js';
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';

/** Classifies the lines of the standard input. Ends with 1 where a line could not be read. */
export const classifyLines: CommandRun = async ({ flags, io }) => {
  let refused = 0;
  for await (const lines of boundedLines(io.inputPieces(), limits.classifyLineLengthMax)) {
    for (const line of lines) {
      if (line.text?.trim() === '') continue;
      const answer = answerTo(line);
      if (!(answer instanceof SpineError)) {
        io.out(JSON.stringify(answer));
        continue;
      }
      refused += 1;
      io.err(flags.truth('json') ? JSON.stringify({ error: answer }) : `${answer.message} ${answer.mend}`);
    }
    await io.outHasRoom();
    if (io.signal.aborted) break;
  }
  if (io.signal.aborted) return exitCodes.interrupted.code;
  return refused === 0 ? exitCodes.ok.code : exitCodes.failed.code;
};

/** What is printed for a line. */
interface Answer {
  readonly id: unknown;
  readonly label: string;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly confidence: number;
  readonly reason: string;
  readonly extract: object;
}

function answerTo({ number, text }: Line): Answer | SpineError {
  const refuse = (reason: string): SpineError => new SpineError('LINE_INVALID', { line: number, reason });
  if (text === null) return refuse(`it is longer than ${limits.classifyLineLengthMax} characters`);
  const row = parsed(number === 1 ? text.replace(/^\ufeff/, '') : text);
  if (row === undefined) return refuse('it is no JSON');
  if (typeof row !== 'object' || row === null || Array.isArray(row)) return refuse('it is JSON, but no object');
  const input = inputOf(row as Readonly<Record<string, unknown>>);
  if (typeof input === 'string') return refuse(input);
  const { label, remedy, retryable, confidence, reason, extract = {} } = classifyFailure(input);
  const id = (row as { readonly id?: unknown }).id ?? null;
  return { id, label, remedy, retryable, confidence, reason, extract };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** What triage is asked, or what is wrong with the row. */
function inputOf(row: Readonly<Record<string, unknown>>): FailureInput | string {
  const { text, http_status: given = null, provider = null } = row;
  if (typeof text !== 'string') return text === undefined ? 'it has no "text"' : '"text" is no text';
  const httpStatus = typeof given === 'string' && given.trim() !== '' ? Number(given) : given;
  if (httpStatus !== null && (typeof httpStatus !== 'number' || !Number.isFinite(httpStatus))) {
    return '"http_status" is no number';
  }
  if (provider !== null && typeof provider !== 'string') return '"provider" is no text';
  return { text, httpStatus, provider };
}
