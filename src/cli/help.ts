/** Help, made from the table of commands. */
import type { Command, Parameter } from './command.js';
import { environmentVariables } from './environment.js';
import { exitCodes } from './exit-codes.js';
import { renderPairs } from './table.js';

/** The overview of all commands. */
export function overviewHelp(commands: readonly Command[]): string[] {
  return [
    'eventspine: durable runs and events for AI work, outside of the request path.',
    '',
    'Usage: eventspine <command> [flags]',
    '',
    ...indented(renderPairs(commands.map((command) => [usageOf(command, false), command.says]))),
    '',
    'eventspine help <command> says more; every command knows --help.',
    '',
    'Environment:',
    ...indented(renderPairs(Object.entries(environmentVariables))),
    '',
    'Exit codes:',
    ...indented(renderPairs(Object.values(exitCodes).map(({ code, says }) => [String(code), says]))),
  ];
}

/** Help of one command. */
export function commandHelp(command: Command): string[] {
  const parameters = command.parameters.map((parameter) => [shownParameter(parameter), parameter.says] as const);
  return [
    command.says,
    ...(command.more === undefined ? [] : ['', command.more]),
    '',
    `Usage: eventspine ${usageOf(command, true)}`,
    ...(parameters.length === 0 ? [] : ['', ...indented(renderPairs(parameters))]),
    ...(command.flags.length === 0 ? [] : ['', 'Flags:', ...indented(renderPairs(flagPairs(command)))]),
    '',
    'Examples:',
    ...indented(command.examples),
  ];
}

/** How a command is typed: `runs show <run>`. */
export function usageOf(command: Command, withFlags: boolean): string {
  const parts = [...command.words, ...command.parameters.map(shownParameter)];
  if (withFlags && command.flags.length > 0) parts.push('[flags]');
  return parts.join(' ');
}

/** A flag as it is typed, and what it does. */
export function flagPairs(command: Command): (readonly [string, string])[] {
  return command.flags.map((flag) => {
    const value = flag.type === 'truth' ? '' : ` <${flag.value ?? 'value'}>`;
    const again = flag.repeated === true ? ' May be given several times.' : '';
    return [`--${flag.name}${value}`, flag.says + again] as const;
  });
}

function shownParameter(parameter: Parameter): string {
  const name = parameter.rest === true ? `${parameter.name}...` : parameter.name;
  return parameter.required ? `<${name}>` : `[${name}]`;
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`.trimEnd());
}
