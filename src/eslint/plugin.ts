/** The plugin, and the set of rules that we recommend. Nothing of ESLint is loaded: a linter loads this. */
import { awaitCtx } from './await-ctx.js';
import { noChanceInBody } from './no-chance-in-body.js';
import { noOuterMutation } from './no-outer-mutation.js';
import { ownCtx } from './own-ctx.js';
import type { RuleModule } from './rule.js';

/** A plugin in the shape that ESLint 9 and 10 and oxlint take. */
export interface Plugin {
  readonly meta: { readonly name: string };
  readonly rules: {
    readonly 'await-ctx': RuleModule;
    readonly 'no-outer-mutation': RuleModule;
    readonly 'own-ctx': RuleModule;
    readonly 'no-chance-in-body': RuleModule;
  };
}

/** A part of a flat config; changeable, because that is how ESLint types it. */
export interface RecommendedConfig {
  name: string;
  plugins: { eventspine: Plugin };
  rules: Record<string, 'error'>;
}

/** The rules, under the names `eventspine/<rule>`. Also the default export, which is what oxlint loads. */
export const plugin: Plugin = {
  meta: { name: 'eventspine' },
  rules: {
    'await-ctx': awaitCtx,
    'no-outer-mutation': noOuterMutation,
    'own-ctx': ownCtx,
    'no-chance-in-body': noChanceInBody,
  },
};

/** All rules as errors. They look only at files that import from `eventspine`, so it can stand for all files. */
export const recommended: RecommendedConfig = {
  name: 'eventspine/recommended',
  plugins: { eventspine: plugin },
  rules: Object.fromEntries(Object.keys(plugin.rules).map((name) => [`eventspine/${name}`, 'error' as const])),
};
