/** The codes of Kafka's protocol that the fixture speaks. */

/** Requests, with the one version that is spoken of each; that of ApiVersions is a range by the protocol's own rule. */
export const apis = {
  produce: { key: 0, version: 9 },
  fetch: { key: 1, version: 13 },
  listOffsets: { key: 2, version: 7 },
  metadata: { key: 3, version: 12 },
  offsetCommit: { key: 8, version: 8 },
  offsetFetch: { key: 9, version: 8 },
  findCoordinator: { key: 10, version: 4 },
  joinGroup: { key: 11, version: 7 },
  heartbeat: { key: 12, version: 4 },
  leaveGroup: { key: 13, version: 4 },
  syncGroup: { key: 14, version: 5 },
  apiVersions: { key: 18, version: 3 },
  createTopics: { key: 19, version: 7 },
  initProducerId: { key: 22, version: 4 },
} as const;

export const codes = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  illegalGeneration: 22,
  inconsistentGroupProtocol: 23,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  unsupportedVersion: 35,
  topicAlreadyExists: 36,
  outOfOrderSequence: 45,
  invalidRecord: 87,
  unknownTopicId: 100,
  unknownServerError: -1,
  memberIdRequired: 79,
} as const;
