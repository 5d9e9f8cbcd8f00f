/** Lint rules for code of workflows: a plugin for ESLint (flat config) and for oxlint, which loads the default export. */
export { plugin, plugin as default, recommended } from './plugin.js';
export type { Plugin, RecommendedConfig } from './plugin.js';
export type { AstNode } from './ast.js';
export type { Fixer, Report, RuleContext, RuleModule, Suggestion, TextEdit } from './rule.js';
