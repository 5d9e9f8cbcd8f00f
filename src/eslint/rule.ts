/** What a linter gives to a rule and takes from it, as far as the rules here use it. ESLint 9 and 10 and oxlint fit. */
import type { AstNode } from './ast.js';

/** A use of a variable. */
export interface Reference {
  readonly identifier: AstNode;
  /** Null where the variable is nowhere declared. */
  readonly resolved: Variable | null;
  /** The write that gives a variable its first value. */
  readonly init?: boolean | null;
  isWrite(): boolean;
  isRead(): boolean;
}

/** A variable. */
export interface Variable {
  readonly name: string;
  readonly references: readonly Reference[];
  readonly defs: readonly { readonly type: string; readonly node: AstNode; readonly name: AstNode }[];
  readonly scope: Scope;
}

/** A scope of names. */
export interface Scope {
  readonly type: string;
  readonly block: AstNode;
  /** Uses here, and not in scopes inside. */
  readonly references: readonly Reference[];
  /** Uses here and inside, of variables declared further out or nowhere. */
  readonly through: readonly Reference[];
}

/** The text of a file, parsed. */
export interface SourceCode {
  readonly ast: AstNode;
  readonly scopeManager: { acquire(node: AstNode, inner?: boolean): Scope | null };
  getDeclaredVariables(node: AstNode): readonly Variable[];
}

/** Text that is put in the place of a part of the file. */
export interface TextEdit {
  range: [number, number];
  text: string;
}

/** Makes edits. */
export interface Fixer {
  insertTextBefore(node: AstNode, text: string): TextEdit;
  replaceText(node: AstNode, text: string): TextEdit;
}

/** An edit that is offered. */
export interface Suggestion {
  readonly messageId: string;
  readonly data?: Record<string, string>;
  fix(fixer: Fixer): TextEdit;
}

/** What a rule has found. */
export interface Report {
  readonly node: AstNode;
  readonly messageId: string;
  readonly data?: Record<string, string>;
  readonly suggest?: Suggestion[];
}

/** What a linter hands to a rule, whatever language the file is in. */
export interface RuleContext {
  readonly sourceCode: object;
  report(report: Report): void;
}

/** A rule in the shape that ESLint and oxlint take. */
export interface RuleModule {
  readonly meta: {
    readonly type: 'problem';
    readonly docs: { readonly description: string };
    readonly messages: Record<string, string>;
    readonly schema: [];
    readonly hasSuggestions: true;
  };
  create(context: RuleContext): { 'Program:exit'?: () => void };
}

/** A file to be looked at, and where to say what was found. */
export interface Look {
  readonly sourceCode: SourceCode;
  report(report: Report): void;
}

/** A rule that looks at a file as a whole, once. */
export function rule(description: string, messages: Record<string, string>, check: (look: Look) => void): RuleModule {
  return {
    meta: { type: 'problem', docs: { description }, messages, schema: [], hasSuggestions: true },
    create(context) {
      const { sourceCode } = context;
      // Linters also read JSON, CSS and Markdown, which have no scopes and no workflows.
      if (!isScoped(sourceCode)) return {};
      return { 'Program:exit': () => check({ sourceCode, report: (report) => context.report(report) }) };
    },
  };
}

function isScoped(sourceCode: object): sourceCode is SourceCode {
  return 'scopeManager' in sourceCode && sourceCode.scopeManager !== null && 'getDeclaredVariables' in sourceCode;
}
