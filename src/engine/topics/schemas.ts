/**
 * The schemas of a topic as servers know them: which version an event is of, what does not fit, and what becomes of fields
 * that the schema does not name. Upcasters are code and run in workers.
 *
 * Invariant: what is accepted fits the version that its schema id names, and where unknown fields are not allowed has none.
 */
import { decodeValue, encodeValue, payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import type { JsonSchema, Manifest, TopicManifest } from '../../core/manifest.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { Hash } from '../../core/ports.js';
import { evolutionFaults } from '../../core/schema/compatibility.js';
import { readSchemaId, schemaId, schemaIdOfUri } from '../../core/schema/schema-id.js';
import { unknownFields, wayText, withoutFields, type Way } from '../../core/schema/unknown-fields.js';
import type { Check } from '../intake/checks.js';

/** An event as far as its schema goes. `version`: what the publisher says that the data is of. */
export interface Written {
  readonly data: Payload | null;
  /** The data as plain JSON; undefined = it is not at hand, and only workers check it. */
  readonly value: unknown;
  readonly version?: number;
  readonly dataschema?: string;
}

/** What is recorded of it. `schema`: id of the schema; null = the topic has none. */
export interface Accepted {
  readonly data: Payload | null;
  readonly value: unknown;
  readonly schema: string | null;
}

interface Version {
  readonly version: number | null;
  readonly schema: JsonSchema | null;
  readonly check: Check;
}

/** What a version makes of a value. */
interface Verdict {
  readonly version: Version;
  readonly faults: readonly string[];
  readonly unknown: readonly Way[];
}

export class TopicSchemas {
  readonly #topic: TopicManifest;
  /** The newest first. */
  readonly #versions: readonly Version[];
  readonly #ids = new Map<Version, string | null>();

  constructor(topic: TopicManifest, compile: (schema: JsonSchema | null) => Check) {
    this.#topic = topic;
    const declared = topic.versions ?? [{ version: null, schema: topic.schema }];
    this.#versions = declared.map(({ version, schema }) => ({ version, schema, check: compile(schema) })).reverse();
  }

  /** Whether events were written under several schemas. */
  get hasVersions(): boolean {
    return this.#topic.versions !== undefined;
  }

  /**
   * The event as it is recorded. One that names no version is of the newest that it fits. Throws INPUT_INVALID, with all that
   * does not fit the version named, or the newest.
   */
  accept(event: Written, hash: Hash): Accepted {
    const { data, value } = event;
    const candidates = this.#named(event, hash);
    const [newest] = candidates;
    if (newest === undefined) throw this.#refusal(['the topic has no schema']);
    if (value === undefined) return { data, value, schema: this.#idOf(newest, hash) };
    const verdicts: Verdict[] = [];
    for (const version of candidates) {
      const verdict = this.#verdict(version, value);
      if (verdict.faults.length === 0 && verdict.unknown.length === 0)
        return { data, value, schema: this.#idOf(version, hash) };
      verdicts.push(verdict);
    }
    const stripped = this.#topic.unknown === 'strip' ? this.#stripped(verdicts, event, hash) : null;
    if (stripped !== null) return stripped;
    const [first] = verdicts;
    throw this.#refusal([
      ...(first?.faults ?? []),
      ...(first?.unknown ?? []).map((way) => `${wayText(way)} is not known to the schema`),
    ]);
  }

  /** Versions that the event may be of, the likeliest first. */
  #named({ version, dataschema }: Written, hash: Hash): readonly Version[] {
    const { name } = this.#topic;
    const id = schemaIdOfUri(dataschema);
    const said = id === null ? null : readSchemaId(name, id);
    const wanted = version ?? said?.version ?? null;
    if (wanted === null || !this.hasVersions) return this.#versions;
    const found = this.#versions.find((one) => one.version === wanted);
    if (found === undefined) {
      const known = this.#versions.map((one) => one.version).reverse();
      throw this.#refusal([`version ${wanted} of its schema is not known here; known: ${known.join(', ')}`]);
    }
    const mine = readSchemaId(name, this.#idOf(found, hash) ?? '')?.hash ?? null;
    if (version === undefined && said !== null && said.hash !== null && said.hash !== mine)
      throw this.#refusal([`version ${wanted} of its schema is another one here (${mine ?? 'not known'})`]);
    return [found];
  }

  #verdict(version: Version, value: unknown): Verdict {
    const faults = version.check(value);
    const looks = this.#topic.unknown !== undefined && version.schema !== null;
    return { version, faults, unknown: looks ? unknownFields(version.schema, value) : [] };
  }

  /** Of the newest that it fits but for unknown fields. */
  #stripped(verdicts: readonly Verdict[], { data, value }: Written, hash: Hash): Accepted | null {
    const found = verdicts.find(({ faults }) => faults.length === 0);
    if (found === undefined) return null;
    const kept = withoutFields(value, found.unknown);
    const again = this.#verdict(found.version, kept);
    if (again.faults.length > 0 || again.unknown.length > 0) return null;
    const inline = data === null || isBlobPayload(data) ? null : data;
    // Dates and bytes are no plain JSON: the fields are taken out of the value itself.
    const payload =
      inline === null ? payloadOfJson(kept) : encodeValue(withoutFields(decodeValue(inline), found.unknown));
    return { data: payload, value: kept, schema: this.#idOf(found.version, hash) };
  }

  #idOf(version: Version, hash: Hash): string | null {
    if (version.schema === null && version.version === null) return null;
    const known = this.#ids.get(version);
    if (known !== undefined) return known;
    const id = schemaId(this.#topic.name, version.version, version.schema, hash);
    this.#ids.set(version, id);
    return id;
  }

  #refusal(faults: readonly string[]): SpineError<'INPUT_INVALID'> {
    return new SpineError('INPUT_INVALID', { name: this.#topic.name, faults });
  }
}

/** Refuses a manifest whose topics change in a way that they are declared not to. Throws DEFINITION_INVALID. */
export function requireCompatible(manifest: Manifest, registered: (topic: string) => readonly TopicManifest[]): void {
  const faults = manifest.topics.flatMap((topic) => {
    const known = registered(topic.name);
    return known.length === 0 ? evolutionFaults(topic, null) : known.flatMap((one) => evolutionFaults(topic, one));
  });
  if (faults.length > 0)
    throw new SpineError('DEFINITION_INVALID', {
      name: manifest.app,
      faults: [...new Set(faults)].slice(0, faultsMax),
    });
}

const faultsMax = 20;
