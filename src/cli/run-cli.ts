/**
 * From words to an exit code: parse, run, report. Everything that can go wrong ends here, in one way.
 * Invariant: never rejects.
 */
import { hasCode, SpineError } from '../core/errors.js';
import type { Command } from './command.js';
import { type ExitCode, exitCodes } from './exit-codes.js';
import { commandHelp, overviewHelp } from './help.js';
import type { Io } from './io.js';
import { type Parsed, parseCommandLine } from './parse.js';
import { reportError } from './report.js';

/** Runs what was typed after the name of the program. */
export async function runCli(typed: readonly string[], commands: readonly Command[], io: Io): Promise<ExitCode> {
  const json = typed.includes('--json');
  try {
    const parsed = parseCommandLine(typed, commands);
    const shown = helpAsked(parsed, commands);
    if (shown !== null) {
      for (const line of shown) io.out(line);
      return exitCodes.ok.code;
    }
    if (parsed.tag === 'help') throw new Error('Invariant broken: help has lines to show');
    const run = await parsed.command.load();
    return await run({ command: parsed.command, words: parsed.words, flags: parsed.flags, io });
  } catch (error) {
    if (io.signal.aborted && hasCode(error, 'SERVER_UNREACHABLE')) return exitCodes.interrupted.code;
    return reportError(error, io, json);
  }
}

/** Lines of help, where help is what was asked for. */
function helpAsked(parsed: Parsed, commands: readonly Command[]): string[] | null {
  if (parsed.tag === 'help') return parsed.command === null ? overviewHelp(commands) : commandHelp(parsed.command);
  if (parsed.command.words[0] !== 'help') return null;
  const words = parsed.words.all('command');
  if (words.length === 0) return overviewHelp(commands);
  const group = commands.filter((command) => words.every((word, i) => command.words[i] === word));
  const [only] = group;
  if (only === undefined) {
    // The parser knows what may have been meant.
    parseCommandLine(words, commands);
    throw new SpineError('COMMAND_INVALID', { reason: `There is no command "${words.join(' ')}".` });
  }
  return group.length === 1 ? commandHelp(only) : overviewHelp(group);
}
