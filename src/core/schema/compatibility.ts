/**
 * How the schema of a topic may change from version to version: what `backward`, `forward` and `full` ask of each two, and of
 * what is registered already. Pure; used where definitions are registered and deployed, and by `eventspine check --schemas`.
 *
 * Invariant: what has no fault here was proven (`inclusion.ts`), or goes through an upcaster, or was asked for with `none`.
 */
import { canonicalJson } from '../canonical-json.js';
import type { Compatibility, JsonSchema, TopicManifest, TopicVersion } from '../manifest.js';
import { inclusionFaults } from './inclusion.js';

/** What a topic is held to: as declared, else `backward` where it has versions. */
export function compatibilityOf({ compatibility, versions }: TopicManifest): Compatibility {
  return compatibility ?? { mode: versions === undefined ? 'none' : 'backward', transitive: false };
}

/** Why a topic may not be registered: by what its versions say of each other, and by what is registered. */
export function evolutionFaults(topic: TopicManifest, registered: TopicManifest | null): string[] {
  const faults = [...versionFaults(topic), ...(registered === null ? [] : registeredFaults(topic, registered))];
  return [...new Set(faults)].slice(0, faultsMax);
}

const faultsMax = 20;

/** A schema and what it is called. */
interface Named {
  readonly called: string;
  readonly schema: JsonSchema | null;
}

function versionFaults(topic: TopicManifest): string[] {
  const { versions = [] } = topic;
  const { transitive } = compatibilityOf(topic);
  return versions.flatMap((fresh, i) =>
    versions.slice(transitive ? 0 : Math.max(0, i - 1), i).flatMap((old) => {
      // An upcaster on the way makes new data of old; there is nothing that could be proven of a function.
      const isRaised = versions.slice(versions.indexOf(old) + 1, i + 1).some(({ up }) => up);
      return pairFaults(topic, named(old), named(fresh), isRaised);
    }),
  );
}

function named({ version, schema }: TopicVersion): Named {
  return { called: `version ${version}`, schema };
}

function pairFaults(topic: TopicManifest, old: Named, fresh: Named, isRaised: boolean): string[] {
  const { mode } = compatibilityOf(topic);
  if (mode === 'none') return [];
  const backward = mode !== 'forward' && !isRaised ? readFaults(topic, old, fresh, 'wrote') : [];
  const forward = mode !== 'backward' ? readFaults(topic, fresh, old, 'writes') : [];
  return [...backward, ...forward];
}

function readFaults({ name, unknown }: TopicManifest, written: Named, read: Named, word: 'wrote' | 'writes'): string[] {
  const intro = `topic "${name}": ${read.called} cannot be shown to read what ${written.called} ${word}`;
  if (written.schema === null || read.schema === null) {
    const silent = written.schema === null ? written.called : read.called;
    return [`${intro}: ${silent} has no JSON Schema (its library or a part of it cannot be described as one)`];
  }
  const options = { written: written.called, read: read.called, closed: unknown !== undefined };
  return inclusionFaults(written.schema, read.schema, options).map(
    ({ path, text }) => `${intro}: ${path === '' ? 'the data' : path} ${text}`,
  );
}

/** A version stays what it was; what is registered and gone from the list must still be readable. */
function registeredFaults(topic: TopicManifest, registered: TopicManifest): string[] {
  const { mode } = compatibilityOf(topic);
  if (mode === 'none') return [];
  const mine = schemasOf(topic);
  const newest = mine.at(-1);
  return schemasOf(registered).flatMap((old): string[] => {
    const same = mine.find(({ version }) => version !== null && version === old.version);
    if (same !== undefined)
      return isSameSchema(same.schema, old.schema)
        ? []
        : [
            `topic "${topic.name}": version ${String(old.version)} is registered with another schema; a change is a new version`,
          ];
    if (newest === undefined || mine.some(({ schema }) => isSameSchema(schema, old.schema))) return [];
    // It was of the next version by then: who has only this one is behind, and nothing is changed by it.
    if (old.version !== null && newest.version !== null && old.version > newest.version) return [];
    const before = {
      called: old.version === null ? 'the registered schema' : `version ${old.version}`,
      schema: old.schema,
    };
    const after = {
      called: newest.version === null ? 'the new schema' : `version ${newest.version}`,
      schema: newest.schema,
    };
    // It was written under what held then for unknown fields.
    const { unknown: _now, ...others } = topic;
    const { unknown } = registered;
    return pairFaults(unknown === undefined ? others : { ...others, unknown }, before, after, false);
  });
}

function schemasOf({
  versions,
  schema,
}: TopicManifest): readonly { version: number | null; schema: JsonSchema | null }[] {
  return versions ?? [{ version: null, schema }];
}

function isSameSchema(a: JsonSchema | null, b: JsonSchema | null): boolean {
  return canonicalJson(a) === canonicalJson(b);
}
