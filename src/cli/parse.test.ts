import { describe, expect, it } from 'vitest';
import { commands } from './commands.js';
import { parseCommandLine } from './parse.js';

function parse(line: string): ReturnType<typeof parseCommandLine> {
  return parseCommandLine(line === '' ? [] : line.split(' '), commands);
}

function run(line: string): Extract<ReturnType<typeof parse>, { tag: 'run' }> {
  const parsed = parse(line);
  if (parsed.tag !== 'run') throw new Error(`"${line}" asks for help`);
  return parsed;
}

describe('parseCommandLine', () => {
  it('finds the command, its parameters and its flags wherever they stand', () => {
    const { command, words, flags } = run('--json runs cancel run_1 --url http://x run_2 --reason=late');
    expect(command.words).toEqual(['runs', 'cancel']);
    expect(words.all('run')).toEqual(['run_1', 'run_2']);
    expect([flags.truth('json'), flags.text('url'), flags.text('reason')]).toEqual([true, 'http://x', 'late']);
  });

  it('tells a flag that was not given from one that was', () => {
    const { flags, words } = run('run answer');
    expect([flags.truth('wait'), flags.text('key'), words.maybe('input')]).toEqual([false, undefined, undefined]);
  });

  it('gathers repeated flags, joined by commas or not', () => {
    expect(run('runs list --state failed --state queued,waiting').flags.list('state')).toEqual([
      'failed',
      'queued',
      'waiting',
    ]);
  });

  it('takes - and negative numbers as values, not as flags', () => {
    expect(run('publish t -').words.one('data')).toBe('-');
    expect(run('publish t 1 --key -5').flags.text('key')).toBe('-5');
  });

  it('takes what follows -- as it is', () => {
    expect(run('publish t -- --odd').words.one('data')).toBe('--odd');
  });

  it.each([
    ['', null],
    ['--help', null],
    ['runs list --help', 'runs list'],
    ['dev -h', 'dev'],
  ])('shows help for %j', (line, expected) => {
    const parsed = parse(line);
    expect(parsed.tag === 'help' && (parsed.command?.words.join(' ') ?? null)).toBe(expected);
  });

  it('takes --version for the command', () => {
    expect(run('--version').command.words).toEqual(['version']);
  });

  it.each([
    ['rnus list', /no command "rnus".*Did you mean "runs/],
    ['runs lst', /no command "runs lst".*Did you mean "list"/],
    ['runs', /needs a second word; there are list, show, export, watch, cancel, retry/],
    ['serv', /Did you mean "serve"/],
    ['xyzzy', /no command "xyzzy"\.$/],
    ['runs list --stat failed', /no flag --stat\. Did you mean "--state"/],
    ['queues -x', /no flag -x/],
    ['serve --port', /--port needs a value: --port <port>/],
    ['serve --port --json', /--port needs a value/],
    ['serve --port eight', /whole number of 0 or more, not "eight"/],
    ['serve --port 1.5', /whole number/],
    ['serve --port=-1', /whole number/],
    ['models report writer --alpha x', /must be a number of 0 or more, not "x"/],
    ['serve --json=yes', /--json takes no value/],
    ['runs show', /needs <run>: Id of the run/],
    ['runs show a b', /does not know what to do with "b"/],
  ])('refuses %j and says why', (line, reason) => {
    expect(() => parse(line)).toThrow(reason);
    expect(() => parse(line)).toThrow(expect.objectContaining({ code: 'COMMAND_INVALID' }));
  });
});

describe('the table of commands', () => {
  it('names every command once', () => {
    const names = commands.map((command) => command.words.join(' '));
    expect(new Set(names).size).toBe(names.length);
  });

  it('gives one name of a flag one type, which parsing relies on', () => {
    const types = new Map<string, string>();
    for (const flag of commands.flatMap((command) => command.flags)) {
      expect([flag.name, types.get(flag.name) ?? flag.type]).toEqual([flag.name, flag.type]);
      types.set(flag.name, flag.type);
    }
  });

  it('offers --json with every command that prints a result', () => {
    const without = commands.filter((command) => !command.flags.some((flag) => flag.name === 'json'));
    expect(without.map((command) => command.words.join(' '))).toEqual(['help']);
  });

  it('has only examples that parse', () => {
    for (const command of commands) {
      for (const example of command.examples) {
        const words = [...example.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
          (match) => match[1] ?? match[2] ?? match[3] ?? '',
        );
        const parsed = parseCommandLine(words.slice(1), commands);
        expect(parsed.tag === 'run' && parsed.command.words).toEqual(command.words);
      }
    }
  });
});
