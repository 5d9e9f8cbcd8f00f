/**
 * From the words on the command line to an invocation. `node:util` cuts the words into tokens; which tokens are right
 * is decided here, so that every complaint can say what was meant.
 * Invariant: a command runs only with flags and parameters that it declares, each of its type.
 */
import { parseArgs } from 'node:util';
import { SpineError } from '../core/errors.js';
import { type Command, type Flag, Flags, type Parameter, Words } from './command.js';
import { didYouMean } from './suggest.js';

/** What was typed: a command to run, or help to show. */
export type Parsed =
  | { readonly tag: 'run'; readonly command: Command; readonly words: Words; readonly flags: Flags }
  /** `command` is null for the overview. */
  | { readonly tag: 'help'; readonly command: Command | null };

/** Parses the words after the program's name. Fails with COMMAND_INVALID. */
export function parseCommandLine(typed: readonly string[], commands: readonly Command[]): Parsed {
  const { tokens } = parseArgs({
    args: [...typed],
    options: optionsOf(commands),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const positionals = tokens.flatMap((token) => (token.kind === 'positional' ? [token.value] : []));
  const asksHelp = tokens.some((token) => token.kind === 'option' && token.name === 'help');
  if (positionals.length === 0) {
    const asksVersion = tokens.some((token) => token.kind === 'option' && token.name === 'version');
    return asksVersion ? parseCommandLine(['version'], commands) : { tag: 'help', command: null };
  }
  const command = findCommand(positionals, commands);
  if (asksHelp) return { tag: 'help', command };
  const flags = new Map<string, (string | number | true)[]>();
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const flag = declaredFlag(token.name, token.rawName, command);
    const values = flags.get(flag.name) ?? [];
    values.push(valueOf(flag, token.value, token.inlineValue === true));
    flags.set(flag.name, values);
  }
  const words = wordsOf(command, positionals.slice(command.words.length));
  return { tag: 'run', command, words, flags: new Flags(command.flags, flags) };
}

/** The command named by the first words; the longest name wins. */
function findCommand(positionals: readonly string[], commands: readonly Command[]): Command {
  const matches = commands.filter((command) => command.words.every((word, i) => positionals[i] === word));
  const [best] = matches.sort((a, b) => b.words.length - a.words.length);
  if (best !== undefined) return best;
  const [first = '', second] = positionals;
  const group = commands.filter((command) => command.words[0] === first);
  if (group.length > 0) {
    const names = group.map((command) => command.words[1] ?? '');
    const what = second === undefined ? `"${first}" needs a second word` : `There is no command "${first} ${second}"`;
    throw invalid(`${what}; there are ${names.join(', ')}.${second === undefined ? '' : didYouMean(second, names)}`);
  }
  const names = commands.map((command) => command.words.join(' '));
  const meant =
    didYouMean(positionals.slice(0, 2).join(' '), names) || didYouMean(first, [...new Set(names.map(headOf))]);
  throw invalid(`There is no command "${first}".${meant}`);
}

function headOf(name: string): string {
  return name.split(' ')[0] ?? name;
}

function declaredFlag(name: string, typed: string, command: Command): Flag {
  const found = command.flags.find((flag) => flag.name === name);
  if (found !== undefined) return found;
  const names = command.flags.map((flag) => `--${flag.name}`);
  throw invalid(`"${command.words.join(' ')}" has no flag ${typed}.${didYouMean(typed, names)}`);
}

function valueOf(flag: Flag, given: string | undefined, inline: boolean): string | number | true {
  if (flag.type === 'truth') {
    if (given !== undefined) throw invalid(`--${flag.name} takes no value.`);
    return true;
  }
  // Without strictness, `parseArgs` takes the flag that follows for the value.
  const looksLikeFlag = given !== undefined && !inline && /^-\D/.test(given);
  if (given === undefined || looksLikeFlag)
    throw invalid(`--${flag.name} needs a value: --${flag.name} <${flag.value ?? 'value'}>.`);
  if (flag.type === 'text') return given;
  const number = Number(given);
  const isOne = flag.type === 'fraction' ? Number.isFinite(number) : Number.isInteger(number);
  if (given.trim() === '' || !isOne || number < 0) {
    const kind = flag.type === 'fraction' ? 'a number' : 'a whole number';
    throw invalid(`--${flag.name} must be ${kind} of 0 or more, not "${given}".`);
  }
  return number;
}

function wordsOf(command: Command, given: readonly string[]): Words {
  const values = new Map<string, readonly string[]>();
  let next = 0;
  for (const parameter of command.parameters) {
    const taken = parameter.rest === true ? given.slice(next) : given.slice(next, next + 1);
    if (parameter.required && taken.length === 0) throw invalid(missing(command, parameter));
    values.set(parameter.name, taken);
    next += taken.length;
  }
  const surplus = given[next];
  if (surplus !== undefined) throw invalid(`"${command.words.join(' ')}" does not know what to do with "${surplus}".`);
  return new Words(values);
}

function missing(command: Command, parameter: Parameter): string {
  return `"${command.words.join(' ')}" needs <${parameter.name}>: ${parameter.says}`;
}

function invalid(reason: string): SpineError {
  return new SpineError('COMMAND_INVALID', { reason });
}

/** Flags of all commands in one, because the command is known only when flags and their values have been set apart. */
function optionsOf(
  commands: readonly Command[],
): Record<string, { type: 'boolean' | 'string'; short?: string; multiple: true }> {
  const options: ReturnType<typeof optionsOf> = {
    help: { type: 'boolean', short: 'h', multiple: true },
    version: { type: 'boolean', short: 'v', multiple: true },
  };
  for (const flag of commands.flatMap((command) => command.flags)) {
    options[flag.name] = {
      type: flag.type === 'truth' ? 'boolean' : 'string',
      multiple: true,
      ...(flag.short === undefined ? {} : { short: flag.short }),
    };
  }
  return options;
}
