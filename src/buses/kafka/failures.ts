/**
 * What errors of the client mean to us. They are trees (attempts, brokers, partitions, causes), and none of their classes can
 * be asked for without loading the client, so they are read by their fields.
 */

/** Codes of the protocol that a fetch answers for a partition. */
export const fetchCodes = {
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  topicAuthorizationFailed: 29,
  unknownTopicId: 100,
  inconsistentTopicId: 103,
} as const;

/** What no repetition mends. */
const refusals: ReadonlySet<string> = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_REQUIRED_ACKS',
  'POLICY_VIOLATION',
  'UNSUPPORTED_COMPRESSION_TYPE',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
]);

/** Who we are, or what we may. */
const denials: ReadonlySet<string> = new Set([
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'INCONSISTENT_GROUP_PROTOCOL',
  'INVALID_GROUP_ID',
  'GROUP_MAX_SIZE_REACHED',
  'UNSUPPORTED_ASSIGNOR',
]);

/** True where sending or asking again can do no good until a person has done something. */
export function isRefused(error: unknown): boolean {
  return isDenied(error) || nodesOf(error).some((node) => refusals.has(textOf(node['apiId'])));
}

/** True where brokers will not let us. */
export function isDenied(error: unknown): boolean {
  return nodesOf(error).some((node) => node['code'] === 'PLT_KFK_AUTHENTICATION' || denials.has(textOf(node['apiId'])));
}

/** True where a topic is not there (not yet, or no more). */
export function isTopicMissing(error: unknown): boolean {
  return nodesOf(error).some(
    (node) =>
      node['apiId'] === 'UNKNOWN_TOPIC_OR_PARTITION' ||
      (node['code'] === 'PLT_KFK_USER' && textOf(node['message']).startsWith('Unknown topic ')),
  );
}

export function isTopicThere(error: unknown): boolean {
  return nodesOf(error).some((node) => node['apiId'] === 'TOPIC_ALREADY_EXISTS');
}

/** What every part of the error carries under a name: answers of brokers that were errors only in a part, for one. */
export function carriedBy(error: unknown, name: string): unknown[] {
  return nodesOf(error)
    .map((node) => node[name])
    .filter((value) => value !== undefined && value !== null);
}

/** One line with the reasons at the leaves, for people. */
export function reasonOf(error: unknown): string {
  const nodes = nodesOf(error);
  const leaves = nodes.filter((node) => !Array.isArray(node['errors']) || node['errors'].length === 0);
  const told = [...new Set(leaves.map((node) => textOf(node['apiId']) || textOf(node['message'])).filter(Boolean))];
  return told.slice(0, 3).join('; ') || String(error);
}

export function errorOf(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

type Node = Readonly<Record<string, unknown>>;

/** An error and all that it holds; the trees are small, and the bound is for those that go in circles. */
function nodesOf(error: unknown): Node[] {
  const nodes: Node[] = [];
  const waiting: unknown[] = [error];
  const nodesMax = 200;
  while (waiting.length > 0 && nodes.length < nodesMax) {
    const next = waiting.shift();
    if (typeof next !== 'object' || next === null) continue;
    const node = next as Node;
    nodes.push(node);
    if (Array.isArray(node['errors'])) waiting.push(...(node['errors'] as unknown[]));
    if (node['cause'] !== undefined) waiting.push(node['cause']);
  }
  return nodes;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
