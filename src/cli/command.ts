/**
 * Commands as data: what they are called, what they take, what they say. Parsing, help and the reference page are all
 * made from this, so that they cannot differ. Invariant: code of a command is loaded only when the command runs.
 */
import type { ExitCode } from './exit-codes.js';
import type { Io } from './io.js';

/** A flag of a command. One name has one type in all commands. */
export interface Flag {
  /** As typed after `--`. */
  readonly name: string;
  /** A `number` is whole and 0 or more; a `fraction` is any number of 0 or more. */
  readonly type: 'truth' | 'text' | 'number' | 'fraction';
  /** One letter, as typed after `-`. */
  readonly short?: string;
  /** May be given several times. */
  readonly repeated?: true;
  /** What stands for the value in help, e.g. `url`. Only for text and numbers. */
  readonly value?: string;
  readonly says: string;
}

/** A word of a command that is no flag. */
export interface Parameter {
  readonly name: string;
  readonly says: string;
  readonly required: boolean;
  /** Takes all words that are left. Only the last parameter may. */
  readonly rest?: true;
}

/** A command. */
export interface Command {
  /** The words that name it: `["runs", "list"]`. */
  readonly words: readonly string[];
  /** One sentence. */
  readonly says: string;
  /** More, for its own help and the reference page. */
  readonly more?: string;
  readonly parameters: readonly Parameter[];
  readonly flags: readonly Flag[];
  readonly examples: readonly string[];
  /** Loads the code. */
  readonly load: () => Promise<CommandRun>;
}

/** The code of a command. Resolves to the exit code; rejections are reported and end with the code of their kind. */
export type CommandRun = (invocation: Invocation) => Promise<ExitCode>;

/** A command as it was typed. */
export interface Invocation {
  readonly command: Command;
  readonly words: Words;
  readonly flags: Flags;
  readonly io: Io;
}

/** The parameters of an invocation, by name. Asking for one that the command does not declare is a bug and throws. */
export class Words {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  /** The word given for a required parameter. */
  one(name: string): string {
    const [first] = this.all(name);
    if (first === undefined) throw new Error(`Invariant broken: parameter ${name} is required`);
    return first;
  }

  /** The word given for a parameter, if one was. */
  maybe(name: string): string | undefined {
    return this.all(name)[0];
  }

  all(name: string): readonly string[] {
    const found = this.#values.get(name);
    if (found === undefined) throw new Error(`Invariant broken: no parameter ${name} is declared`);
    return found;
  }
}

/** The flags of an invocation, by name. Asking for one that the command does not declare is a bug and throws. */
export class Flags {
  readonly #declared: ReadonlySet<string>;
  readonly #values: ReadonlyMap<string, readonly (string | number | true)[]>;

  constructor(declared: readonly Flag[], values: ReadonlyMap<string, readonly (string | number | true)[]>) {
    this.#declared = new Set(declared.map((flag) => flag.name));
    this.#values = values;
  }

  truth(name: string): boolean {
    return this.#of(name).length > 0;
  }

  text(name: string): string | undefined {
    const value = this.#of(name).at(-1);
    return typeof value === 'string' ? value : undefined;
  }

  number(name: string): number | undefined {
    const value = this.#of(name).at(-1);
    return typeof value === 'number' ? value : undefined;
  }

  /** Every value of a repeated flag; values may also be joined by commas. */
  list(name: string): readonly string[] {
    return this.#of(name)
      .flatMap((value) => String(value).split(','))
      .map((value) => value.trim())
      .filter((value) => value !== '');
  }

  /** Whether the command has the flag. */
  declares(name: string): boolean {
    return this.#declared.has(name);
  }

  #of(name: string): readonly (string | number | true)[] {
    if (!this.#declared.has(name)) throw new Error(`Invariant broken: no flag --${name} is declared`);
    return this.#values.get(name) ?? [];
  }
}
