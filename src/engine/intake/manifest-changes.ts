/** What a new manifest of an app changes, in words for people and by name for programs. Pure. */
import { canonicalJson } from '../../core/canonical-json.js';
import { versionsServed, type Manifest } from '../../core/manifest.js';
import type { DefinitionChange } from '../../protocol/http.js';

type Definition = { readonly name: string };

const kinds = [
  ['topic', 'topics'],
  ['workflow', 'workflows'],
  ['capability', 'capabilities'],
] as const;

/** The differences, what vanishes first. `before` null = the app is new. */
export function manifestChanges(before: Manifest | null, after: Manifest): DefinitionChange[] {
  const changes = kinds.flatMap(([kind, list]) => changesOf(kind, before?.[list] ?? [], after[list]));
  const order = { removed: 0, changed: 1, added: 2 };
  return changes.toSorted((a, b) => order[a.change] - order[b.change]);
}

function changesOf(
  kind: DefinitionChange['kind'],
  before: readonly Definition[],
  after: readonly Definition[],
): DefinitionChange[] {
  const old = new Map(before.map((one) => [one.name, one]));
  const fresh = new Set(after.map(({ name }) => name));
  const removed = before.filter(({ name }) => !fresh.has(name));
  return [
    ...removed.map(({ name }): DefinitionChange => ({ kind, name, change: 'removed', details: [] })),
    ...after.flatMap((one): DefinitionChange[] => {
      const earlier = old.get(one.name);
      if (earlier === undefined) return [{ kind, name: one.name, change: 'added', details: [] }];
      const details = differences(earlier, one);
      return details.length === 0 ? [] : [{ kind, name: one.name, change: 'changed', details }];
    }),
  ];
}

function differences(before: Definition, after: Definition): string[] {
  const [old, fresh] = [before, after] as readonly Readonly<Record<string, unknown>>[];
  const fields = new Set([...Object.keys(old ?? {}), ...Object.keys(fresh ?? {})]);
  return [...fields]
    .filter((field) => text(old?.[field]) !== text(fresh?.[field]))
    .map((field) => {
      const [from, to] = [text(old?.[field]), text(fresh?.[field])];
      // Schemas are long, and who deploys knows what was changed in them.
      return from.length + to.length > shownLengthMax ? `${field} differs` : `${field}: ${from} -> ${to}`;
    });
}

const shownLengthMax = 80;

function text(value: unknown): string {
  return value === undefined ? 'none' : canonicalJson(value);
}

/** What of a manifest's workflows nobody serves any more after another, as pairs of workflow and version. */
export function retiredVersions(
  before: readonly Manifest[],
  after: readonly Manifest[],
): readonly { readonly workflow: string; readonly version: string | null }[] {
  const stay = new Set(after.flatMap(served).map(keyOf));
  const retired = new Map(
    before
      .flatMap(served)
      .filter((one) => !stay.has(keyOf(one)))
      .map((one) => [keyOf(one), one]),
  );
  return [...retired.values()];
}

function served(manifest: Manifest): { readonly workflow: string; readonly version: string | null }[] {
  return manifest.workflows.flatMap((workflow) =>
    versionsServed(workflow).map((version) => ({ workflow: workflow.name, version })),
  );
}

function keyOf({ workflow, version }: { readonly workflow: string; readonly version: string | null }): string {
  return JSON.stringify([workflow, version]);
}
