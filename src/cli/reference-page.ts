/** The reference page docs/reference/cli.md, made from the table of commands; a test compares the two. */
import type { Command } from './command.js';
import { environmentVariables } from './environment.js';
import { exitCodes } from './exit-codes.js';
import { flagPairs, usageOf } from './help.js';

/** The page as Markdown, with a line end at its end. */
export function referencePage(commands: readonly Command[]): string {
  return `${[
    '# The command line',
    '',
    'Made from `src/cli/commands.ts`; change it there. Everything talks to a server over HTTP but `dev`, `start`, `serve`,',
    '`migrate`, `backup`, `restored` and `doctor --store`. Results go to the standard output, everything else to the standard',
    'error output.',
    '',
    ...commands.flatMap(section),
    '## Environment',
    '',
    ...table(
      ['variable', 'meaning'],
      Object.entries(environmentVariables).map(([name, says]) => [code(name), says]),
    ),
    '',
    '## Exit codes',
    '',
    ...table(
      ['code', 'meaning'],
      Object.values(exitCodes).map(({ code: number, says }) => [String(number), says]),
    ),
  ].join('\n')}\n`;
}

function section(command: Command): string[] {
  return [
    `## ${command.words.join(' ')}`,
    '',
    command.says + (command.more === undefined ? '' : ` ${command.more}`),
    '',
    '```',
    `eventspine ${usageOf(command, true)}`,
    '```',
    '',
    ...optional(
      ['parameter', 'meaning'],
      command.parameters.map((parameter) => [
        code(parameter.name),
        `${parameter.says}${parameter.required ? '' : ' Optional.'}`,
      ]),
    ),
    ...optional(
      ['flag', 'meaning'],
      flagPairs(command).map(([flag, says]) => [code(flag), says]),
    ),
    '```sh',
    ...command.examples,
    '```',
    '',
  ];
}

function optional(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return rows.length === 0 ? [] : [...table(header, rows), ''];
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)];
}

function code(text: string): string {
  return `\`${text}\``;
}
