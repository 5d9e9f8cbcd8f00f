/**
 * What is wrong with a manifest. Workers of any language send them, they are kept for ever and every run is born of
 * one, so nothing of a manifest is believed before it was looked at here.
 */
import { specFaults as limitSpecFaults } from '../../core/admission/limit-options.js';
import { durationMsMax } from '../../core/duration.js';
import { graphFaults, isGraph } from '../../core/graph/graph-faults.js';
import { limits } from '../../core/limits.js';
import { compatibilityModes, type Manifest, type WorkflowManifest } from '../../core/manifest.js';
import { tagFaults } from '../../core/redaction/tags.js';
import { isRemedyPolicy } from '../../core/remedies.js';
import { ambiguityPolicies, type AmbiguityPolicy } from '../../core/run/inference.js';
import { specFaults } from '../../core/schedule/spec.js';
import { latePolicies, type LatePolicy } from '../../core/topics/source-rule.js';
import { readToolPolicy } from '../../core/tools/read-policy.js';
import { subscriptionFaults } from '../../core/topics/subscription-options.js';
import { sourceFaults } from '../../core/webhooks/source.js';

/** Faults of a manifest as it came from outside, in words; empty = it is one. */
export function manifestFaults(manifest: Manifest): string[] {
  const given: unknown = manifest;
  if (!isRecord(given)) return ['it is not an object'];
  const faults: string[] = [];
  if (given['format'] !== 1) faults.push(`format ${String(given['format'])} is unknown`);
  if (!isName(given['app'])) faults.push(`app must be a text of 1 to ${limits.nameLengthMax} characters`);
  for (const kind of ['topics', 'workflows', 'capabilities', 'models'] as const) {
    const list = given[kind] ?? (kind === 'models' ? [] : undefined);
    if (Array.isArray(list)) faults.push(...listFaults(kind, list));
    else faults.push(`${kind} is not a list`);
  }
  faults.push(...scheduleFaults(given['schedules'] ?? []));
  faults.push(...namedFaults('limits', given['limits'] ?? [], limitSpecFaults));
  faults.push(...namedFaults('subscriptions', given['subscriptions'] ?? [], subscriptionFaults));
  faults.push(...namedFaults('webhooks', given['webhooks'] ?? [], sourceFaults));
  if (given['tools'] !== undefined) readToolPolicy(given['tools'], (fault) => faults.push(fault));
  if (faults.length === 0) faults.push(...manifest.workflows.flatMap((one) => faultsOfGraph(one, manifest)));
  return faults.slice(0, faultsMax);
}

function faultsOfGraph({ name, graph }: WorkflowManifest, { capabilities }: Manifest): string[] {
  if (graph === undefined) return [];
  const known = new Set(capabilities.map((capability) => capability.name));
  const called = graph.nodes.flatMap(({ capability, fallback }) => [
    capability,
    ...(fallback === undefined ? [] : [fallback]),
  ]);
  const unknown = called.filter((capability) => !known.has(capability));
  return [
    ...graphFaults(graph),
    ...unknown.map((capability) => `it calls "${capability}", which is not among the capabilities`),
  ].map((fault) => `graph of "${name}": ${fault}`);
}

const faultsMax = 20;

type Check = (value: unknown) => boolean;
type Kind = 'topics' | 'workflows' | 'capabilities' | 'models';

function listFaults(kind: Kind, list: readonly unknown[]): string[] {
  const faults: string[] = [];
  const seen = new Set<string>();
  for (const entry of list) {
    if (!isRecord(entry) || !isName(entry['name'])) {
      faults.push(`${kind}: a name must have 1 to ${limits.nameLengthMax} characters, without NUL or half a surrogate`);
      continue;
    }
    const { name } = entry;
    if (seen.has(name)) faults.push(`${kind}: "${name}" is defined twice`);
    seen.add(name);
    for (const [field, check] of Object.entries(fields[kind]))
      if (!check(entry[field])) faults.push(`${kind}: ${field} of "${name}" is not valid`);
  }
  return faults;
}

/** Names are of a tenant: two tenants may have a schedule of one name. */
function scheduleFaults(list: unknown): string[] {
  if (!Array.isArray(list)) return ['schedules is not a list'];
  const seen = new Set<string>();
  return (list as readonly unknown[]).flatMap((entry) => {
    if (!isRecord(entry) || !isName(entry['name']) || !isTenant(entry['tenant']))
      return [`schedules: an entry has no name of 1 to ${limits.nameLengthMax} characters, or no tenant`];
    const key = `${entry['tenant']}/${entry.name}`;
    if (seen.has(key)) return [`schedules: "${entry.name}" is defined twice`];
    seen.add(key);
    return specFaults(entry['spec']).map((fault) => `schedules: "${entry.name}": ${fault}`);
  });
}

function namedFaults(kind: string, list: unknown, faultsOf: (entry: unknown) => readonly string[]): string[] {
  if (!Array.isArray(list)) return [`${kind} is not a list`];
  const seen = new Set<string>();
  return (list as readonly unknown[]).flatMap((entry) => {
    if (!isRecord(entry) || !isName(entry['name'])) return [`${kind}: an entry has no name`];
    if (seen.has(entry.name)) return [`${kind}: "${entry.name}" is defined twice`];
    seen.add(entry.name);
    return faultsOf(entry).map((fault) => `${kind}: "${entry.name}": ${fault}`);
  });
}

function isTenant(value: unknown): value is string {
  return isText(value) && value.length <= limits.tenantLengthMax && !value.includes('/');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> & { readonly name: string } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const unstorable = /[\0\p{Surrogate}]/u;

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && !unstorable.test(value);
}

function isName(value: unknown): value is string {
  return isText(value) && value.length <= limits.nameLengthMax;
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return Number.isInteger(value) && Number(value) >= min && Number(value) <= max;
}

const nullable =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const wholeMs: Check = (value) => isWhole(value, 0, durationMsMax);
// A deadline of nothing would take every task away before it was begun.
const deadlineMs: Check = (value) => isWhole(value, 1, durationMsMax);
const schema: Check = nullable((value) => isRecord(value) && tagFaults(value).length === 0);
const amount = (value: unknown, max: number): boolean => typeof value === 'number' && value >= 0 && value <= max;
const retry: Check = (value) =>
  isRecord(value) &&
  isWhole(value['attempts'], 1, limits.retryAttemptsMax) &&
  amount(value['minMs'], durationMsMax) &&
  amount(value['maxMs'], durationMsMax) &&
  amount(value['factor'], factorMax);

/** What is not known of it shows nothing; what is known must be what it seems to be. */
function isShownValues(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(([name, said]) =>
    name === 'steps' ? Array.isArray(said) && said.length <= limits.shownStepsMax && said.every(isText) : said === true,
  );
}

/** Far above what definitions may ask for; here it only has to be a number that powers of it can be compared with. */
const factorMax = 1_000;

const fields: Readonly<Record<Kind, Readonly<Record<string, Check>>>> = {
  topics: {
    schema,
    key: nullable(isText),
    partitions: (value) => isWhole(value, 1, limits.topicPartitionsMax),
    index: (value) =>
      value === undefined || (Array.isArray(value) && value.length <= limits.indexFieldsMax && value.every(isName)),
    retention: (value) => value === undefined || isRetention(value),
    compaction: (value) =>
      value === undefined || (isRecord(value) && wholeMs(value['lagMs']) && wholeMs(value['tombstoneMs'])),
    writer: (value) => value === undefined || value === 'single',
    sources: (value) =>
      value === undefined ||
      (isRecord(value) && latePolicies.includes(value['late'] as LatePolicy) && nullable(wholeMs)(value['afterMs'])),
    versions: (value) => value === undefined || areVersions(value),
    compatibility: (value) =>
      value === undefined ||
      (isRecord(value) && isOneOf(compatibilityModes, value['mode']) && typeof value['transitive'] === 'boolean'),
    unknown: (value) => value === undefined || value === 'strip' || value === 'refuse',
  },
  workflows: {
    version: nullable(isName),
    previous: (value) => Array.isArray(value) && value.every(nullable(isName)),
    input: schema,
    on: nullable(isName),
    completes: nullable(isName),
    signals: (value) =>
      value === undefined ||
      (Array.isArray(value) && value.every((one) => isRecord(one) && isName(one.name) && schema(one['schema']))),
    priority: (value) => isWhole(value, 0, limits.priorityMax),
    timeoutMs: nullable(wholeMs),
    retainMs: nullable(wholeMs),
    deadlineMs,
    retry,
    graph: (value) => value === undefined || isGraph(value),
    shows: (value) => value === undefined || isShownValues(value),
  },
  capabilities: {
    input: schema,
    output: schema,
    effect: (value) => value === 'pure' || value === 'idempotent' || value === 'external',
    deadlineMs,
    retry,
    implemented: (value) => typeof value === 'boolean',
    limits: (value) => value === undefined || (Array.isArray(value) && value.every(isName)),
    remedies: (value) => value === undefined || isRemedyPolicy(value),
  },
  models: {
    versions: isVersions,
    limits: (value) => value === undefined || (Array.isArray(value) && value.every(isName)),
    shadow: (value) => value === undefined || isShadowRule(value),
    policy: (value) => Array.isArray(value) && value.every((one: AmbiguityPolicy) => ambiguityPolicies.includes(one)),
  },
};

function isRetention(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { ageMs, bytes, events, behind } = value;
  const amounts = nullable(wholeMs)(ageMs) && nullable(isCount)(bytes) && nullable(isCount)(events);
  return amounts && (behind === 'hold' || behind === 'gap');
}

/** Versions of a schema: numbers that rise. */
function areVersions(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0 || value.length > limits.topicVersionsMax) return false;
  let last = 0;
  return (value as readonly unknown[]).every((one) => {
    if (!isRecord(one) || !isWhole(one['version'], last + 1, limits.topicVersionsMax)) return false;
    last = Number(one['version']);
    return schema(one['schema']) && typeof one['up'] === 'boolean';
  });
}

function isOneOf(known: readonly string[], value: unknown): boolean {
  return typeof value === 'string' && known.includes(value);
}

function isVersions(value: unknown): boolean {
  if (!Array.isArray(value) || value.length === 0 || value.length > limits.modelVersionsMax) return false;
  const names = value.map((one: unknown) => (isRecord(one) ? one['version'] : null));
  return new Set(names).size === names.length && value.every(isModelVersion);
}

function isModelVersion(value: unknown): boolean {
  if (!isRecord(value) || !isName(value['version']) || !isName(value['endpoint'])) return false;
  const { weight, windowTokens, outputTokensMax, price } = value;
  return isCount(weight) && [windowTokens, outputTokensMax].every(nullable(isCount)) && nullable(isPrice)(price);
}

/** Only its form: of one that names no version of its model nothing comes into force. */
function isShadowRule(value: unknown): boolean {
  if (!isRecord(value) || !isName(value['version'])) return false;
  const { share, concurrency, perDayMicros } = value;
  return typeof share === 'number' && isCount(concurrency) && nullable(isCount)(perDayMicros);
}

function isPrice(value: unknown): boolean {
  return (
    isRecord(value) && ['inputMicros', 'outputMicros', 'cachedInputMicros'].every((field) => isCount(value[field]))
  );
}

function isCount(value: unknown): boolean {
  return isWhole(value, 0, Number.MAX_SAFE_INTEGER);
}
