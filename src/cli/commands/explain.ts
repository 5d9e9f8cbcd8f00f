/** `eventspine explain`, `version`: what the package knows about itself, without a server. */
import { errorCatalogue, type ErrorCode, SpineError } from '../../core/errors.js';
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { packageVersion } from '../package-version.js';
import { printList, printValue } from '../report.js';
import { didYouMean } from '../suggest.js';
import { renderPairs } from '../table.js';

/** Explains an error code, or lists all of them. */
export const explainCode: CommandRun = (invocation) => {
  const given = invocation.words.maybe('code')?.toUpperCase();
  const codes = Object.keys(errorCatalogue) as ErrorCode[];
  if (given === undefined) {
    printList(invocation, codes.map(explanationOf), {
      header: ['CODE', 'KIND', 'STATUS', 'MESSAGE'],
      row: (one) => [one.code, one.kind, String(one.status), one.message],
      empty: '',
    });
    return Promise.resolve(exitCodes.ok.code);
  }
  const code = codes.find((known) => known === given);
  if (code === undefined) {
    const reason = `There is no error code ${given}.${didYouMean(given, codes)}`;
    return Promise.reject(new SpineError('COMMAND_INVALID', { reason }));
  }
  const explanation = explanationOf(code);
  printValue(invocation, explanation, () =>
    renderPairs([
      ['code', explanation.code],
      ['message', explanation.message],
      ['what to do', explanation.mend],
      ['kind', `${explanation.kind} (HTTP ${explanation.status})`],
    ]),
  );
  return Promise.resolve(exitCodes.ok.code);
};

/** Prints the version of the package. */
export const printVersion: CommandRun = async (invocation) => {
  const version = await packageVersion();
  printValue(invocation, { version, node: process.versions.node }, () => [
    `eventspine ${version} (Node ${process.versions.node})`,
  ]);
  return exitCodes.ok.code;
};

interface Explanation {
  readonly code: ErrorCode;
  readonly kind: string;
  readonly status: number;
  /** The message with `<name>` in the place of each detail. */
  readonly message: string;
  readonly mend: string;
}

function explanationOf(code: ErrorCode): Explanation {
  const { kind, status, message, mend } = errorCatalogue[code];
  const pattern = String((message as (detail: unknown) => unknown)(placeholders));
  return { code, kind, status, message: pattern, mend };
}

/** A detail that answers each question with the name of what was asked for, as text, as a list or as a number. */
const placeholders: unknown = new Proxy({}, { get: (_, name) => placeholderFor(String(name)) });

function placeholderFor(name: string): unknown {
  return Object.assign([`<${name}>`], { toString: () => `<${name}>` });
}
