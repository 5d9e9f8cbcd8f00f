/**
 * Every bound of the system that is not an option of its own, in one place. Units are in the names. What a user can
 * change is an option whose default is read from here; the rest are protocol facts.
 */
import { clientLimits } from './client-limits.js';

export const limits = {
  /** An event's envelope, serialised. Payloads are outside of it. */
  envelopeBytesMax: 8 * 1024,
  /** A payload up to this size is stored in its event's row; a larger one becomes a blob. */
  inlinePayloadBytesMax: 16 * 1024,
  /**
   * A value that travels in a message or a JSON body, encoded. Larger ones go beside it, as blobs; servers look into no
   * value that is larger, to match its fields or to show it in a list.
   */
  payloadBytesMax: 8 * 1024 * 1024,
  /** A value kept as a blob (result of a step, input and result of a call or run), encoded: 50 MiB of bytes, and some. */
  valueBytesMax: 72 * 1024 * 1024,
  /** What an installation may raise it to: the codec makes one text of a value, and a text has its bound in every language. */
  valueBytesCeiling: 256 * 1024 * 1024,
  /** Nesting of a value. `JSON.stringify` overflows the stack far later, but every reader must survive. */
  valueDepthMax: 64,
  /** Keys and elements of a value, counted over the whole value: a matrix of a thousand long vectors, and some. */
  valueNodesMax: 5_000_000,
  /** The same of a JSON body: each costs a server time. */
  bodyNodesMax: 100_000,
  /** An HTTP request body. */
  bodyBytesMax: clientLimits.bodyBytesMax,
  /** Bodies of requests and answers above the first are large; what a server holds of them at one time, before it answers 503. */
  largeBodyBytesMin: 1024 * 1024,
  largeBodiesBytesMax: 256 * 1024 * 1024,
  /** Encoded values that one worker moves to and from its server at one time; a single one may be larger. */
  transferBytesMax: 128 * 1024 * 1024,
  /** Items in one batch request. */
  batchItemsMax: clientLimits.batchItemsMax,
  /** Events in the history of a run; half of it logs a warning. The run fails with HISTORY_FULL at the bound. */
  historyEventsMax: 50_000,
  /** Values kept as blobs that go into one exported history, in all; those beyond are left out of it. */
  exportBlobBytesMax: 64 * 1024 * 1024,
  /** Items of a `ctx.map` under way at one time, unless its options say otherwise. */
  mapConcurrencyDefault: 16,
  /** Nodes of a graph, length of the name of one, of its definition as JSON, and how deep selections and conditions go. */
  graphNodesMax: 150,
  graphNodeNameLengthMax: 40,
  graphTextLengthMax: 16 * 1024,
  graphDepthMax: 8,
  /** Items of a map of a graph. Each takes two events of the history of the run. */
  graphItemsMax: 20_000,
  /** Runs of graphs whose progress one engine keeps in memory, and the results that it keeps with them. */
  graphCacheRunsMax: 10_000,
  graphCacheBytesMax: 64 * 1024 * 1024,
  /** Results that are kept in memory for one run; what is beyond is read again when it is needed. */
  graphRunBytesMax: 256 * 1024,
  /** Definitions of graphs that are kept in memory once they were read. */
  graphDefinitionsMax: 200,
  /** Calls that a graph asks for in one commit. */
  graphCallsMax: 256,
  /** Failed attempts of an inference, alternatives and rules that its decision record keeps, and the length of their texts. */
  inferenceHopsMax: 8,
  decisionAlternativesMax: 5,
  decisionRulesMax: 5,
  decisionTextLengthMax: 80,
  /** What a person has said of their answer, as a decision record keeps it: so many characters from its beginning. */
  decisionCommentLengthMax: 200,
  /** Calls of one inference of which nobody knows what became, after which it is not called again: it may be what kills workers. */
  inferenceAmbiguousMax: 10,
  /** Tokens of an answer that limits reserve where nobody says how long it may be. */
  inferenceOutputTokensDefault: 1_024,
  /** Times that a model is asked in one inference with tools unless its options say otherwise, and at most. */
  inferenceRoundsDefault: 8,
  inferenceRoundsMax: 100,
  /** Times that a model is told why its answer does not fit, unless its options say otherwise, and at most. */
  inferenceRepairsDefault: 1,
  inferenceRepairsMax: 5,
  /** Times that an inference is asked anew with another version, a smaller request or after a person's word, and of these with a smaller request. */
  inferenceRemediesMax: 8,
  inferenceCompactionsMax: 3,
  /** Tools of one inference. */
  inferenceToolsMax: 128,
  /** An answer of a model that is kept to serve again, encoded; larger ones are not kept. */
  predictionBytesMax: 256 * 1024,
  /** Answers that are kept of one tenant, and their size together, unless the settings of the engine say otherwise. */
  predictionsPerTenantMax: 10_000,
  predictionBytesPerTenantMax: 64 * 1024 * 1024,
  /** Answers of one fingerprint that are looked at: one for each model and version that has answered. */
  predictionVersionsMax: 64,
  /** Kept answers that are looked at in one round of their upkeep, and how often a tenant has its turn. */
  predictionSweepItemsMax: 5_000,
  predictionSweepMs: 60_000,
  /** Versions of a prompt. */
  promptVersionsMax: 64,
  /** Versions of a model. */
  modelVersionsMax: 32,
  /** Settings of a model that are kept for going back to them. */
  modelPastMax: 20,
  /** Calls of the shadow of one model under way at one time, on all workers together. */
  shadowConcurrencyMax: 64,
  /** Longest call of a shadow, and how long its report may take, before it counts as lost. */
  shadowMsMax: 120_000,
  shadowReportMs: 30_000,
  /** Pairs of versions of one model whose answers were compared that are remembered. */
  shadowTalliesMax: 32,
  /** Characters of an answer that are compared. */
  shadowTextLengthMax: 64 * 1024,
  /** Answers of which one server remembers that a shadow may be asked beside them. */
  shadowsDueMax: 1_000,
  /** What one worker does for shadows at one time: calls, and characters of requests and answers that it keeps for them. */
  shadowsPerWorkerMax: 8,
  shadowsPerMessageMax: 64,
  shadowLengthMax: 32 * 1024 * 1024,
  /** Hops of a chain of fallbacks. */
  inferenceFallbacksMax: 8,
  /** Runs that started a run that started a run ..., in a chain. */
  childDepthMax: 16,
  /** Attempts that a retry policy may ask for. */
  retryAttemptsMax: 1_000,
  /** Longest pause that is kept as a provider asks for it; a longer one counts as this long. */
  retryPauseMsMax: 400 * 24 * 60 * 60_000,
  /** Partitions of a topic. */
  topicPartitionsMax: 1_024,
  /** Least bounds of what a topic keeps: less would be gone before it is read. */
  topicBytesMin: 1024 * 1024,
  topicAgeMsMin: 1_000,
  /** How long an event without data stays in a compacted topic, unless the topic says otherwise. */
  tombstoneMsDefault: 24 * 60 * 60_000,
  /** Partitions of a topic in one event stream: its cursors name all of them. */
  streamPartitionsMax: 64,
  /** How far ahead of the store's clock the stamp of a publisher is believed. */
  hlcAheadMsMax: 60_000,
  /** Events of a topic that go in one transition. */
  trimEventsMax: 256,
  /** Keys that one pass of compaction remembers; of more, the rest has its turn in the next pass. */
  compactionKeysMax: 100_000,
  /** Versions of the schema of a topic, and the highest number of one. */
  topicVersionsMax: 200,
  /** Steps that a workflow may name as shown to everybody, where fields of its app are tagged. */
  shownStepsMax: 200,
  /** Parts of a filter of a subscription, its attributes among them, and how deep it may be nested. */
  filterNodesMax: 64,
  filterDepthMax: 8,
  /** Events of one partition that a subscription has under way, unless it says otherwise, and at most. */
  subscriptionWindowDefault: 64,
  subscriptionWindowMax: 512,
  /** Deliveries of an event to consumers before it is a dead event, unless its subscription says otherwise, and at most. */
  subscriptionDeliveriesDefault: 5,
  subscriptionDeliveriesMax: 1_000,
  /** Consumers of one subscription that live at the same time, and length of the name of one. */
  consumersMax: 256,
  consumerLengthMax: 128,
  /** How long what a consumer has in hand is its own without another word of it, unless it says otherwise, and its bounds. */
  consumerLeaseMsDefault: 30_000,
  consumerLeaseMsMin: 1_000,
  consumerLeaseMsMax: 10 * 60_000,
  /** Events of one pull, unless it says otherwise, and at most; size of their data, of which one event may have more. */
  pullEventsDefault: 50,
  pullEventsMax: 500,
  pullBytesMax: 8 * 1024 * 1024,
  /** Longest wait of a pull for an event, and pulls of one server that wait. */
  pullWaitMsMax: 30_000,
  pullsWaitingMax: 5_000,
  /** Longest pause before an event that was given back comes again. */
  nackDelayMsMax: 24 * 60 * 60_000,
  /** Events of one partition that a subscription has gone past while an earlier one waits for its key. */
  subscriptionAheadMax: 512,
  /** Runs that it starts in one commit. */
  subscriptionStartsMax: 64,
  /** Events that a dry run of a replay looks at. */
  replayScanMax: 20_000,
  /** Length of a step path, in UTF-16 units. */
  pathLengthMax: 512,
  /** Length of names (workflow, capability, topic), tenants and idempotency keys. */
  nameLengthMax: 128,
  tenantLengthMax: 64,
  /** Permissions of one principal. */
  permissionsMax: 100,
  /** Repeats of a refusal within this time are one record. */
  accessWindowMs: 60_000,
  /** Kinds of refusals (of a caller, a route and a code) that a server tells apart in that time; beyond they are only counted. */
  accessRefusalsMax: 500,
  /** How far back a reader that may only subscribe to a topic resumes its stream; further is a replay. */
  subscribeBackMs: 15 * 60_000,
  keyLengthMax: 256,
  /** Message and stack of an error as kept in an event: together they fit an envelope whatever alphabet they are in. */
  errorMessageLengthMax: 600,
  errorStackLengthMax: 1_200,
  /** Characters of a failure that are read for its triage: so many from its beginning, and so many from its end. */
  triageHeadLengthMax: 8 * 1024,
  triageTailLengthMax: 4 * 1024,
  /** Why a failure has its class, as it is kept with it. */
  triageReasonLengthMax: 240,
  /** Models of triage that were in force before and can be gone back to, and characters of the data of one. */
  triagePastMax: 5,
  triageModelLengthMax: 512 * 1024,
  /** Corrections that models of triage are held against, the newest. */
  triageCorrectionsMax: 500,
  /** Redrives of many that a tenant may have under way, letters a second that one may send back, and as it is if nothing is said. */
  redrivesMax: 20,
  redriveRateMax: 1_000,
  redriveRateDefault: 20,
  /** Letters that such a redrive has in hand at one time, and how many it looks at in one go. */
  redriveChunkMax: 100,
  redriveScanMax: 2_000,
  /** Letters that are counted before one begins; of more it is not said how many there are. */
  redriveCountMax: 100_000,
  /** How long one that has ended can be looked at. */
  redriveRetainMs: 7 * 24 * 60 * 60_000,
  /** Bridges of one file, messages in one of their batches, and partitions that they make a topic with. */
  bridgesMax: 64,
  bridgeBatchDefault: 100,
  bridgeBatchMax: 1_000,
  bridgePartitionsMax: 1_024,
  /** Attempts in the trail of a dead letter: the newest. */
  trailItemsMax: 100,
  /** Characters of one line that `eventspine classify` reads; a longer one is left out. */
  classifyLineLengthMax: 1024 * 1024,
  /** Labels of a run, and the length of their names and values: together they fit an envelope. */
  labelsMax: 8,
  labelNameLengthMax: 64,
  labelValueLengthMax: 128,
  /** A value of an indexed field, in UTF-16 units: what is longer cannot be waited for. */
  indexValueLengthMax: 256,
  /** Indexed fields of a topic. */
  indexFieldsMax: 8,
  /** Addresses of an approval, its escalations, and the length of its title. */
  approvalAddressesMax: 16,
  approvalEscalationsMax: 8,
  approvalTitleLengthMax: 200,
  /** Rules of a policy of tools, patterns and limits of one, values that a limit names, and orders of operators. */
  toolRulesMax: 200,
  toolPatternsMax: 100,
  toolLimitsMax: 50,
  toolValuesMax: 1_000,
  toolOrdersMax: 1_000,
  /** Arguments that a verdict on a call of a tool looks at, encoded; of larger ones nothing is known. */
  toolArgumentsBytesMax: 64 * 1024,
  /** Where the untrusted text of a run is from, as far as it is told apart, and the length of a text of it. */
  toolTaintsMax: 16,
  toolTaintLengthMax: 64,
  /** Why a call of a tool was refused, as it is recorded and told. */
  toolWhyLengthMax: 300,
  /** What a person says of an approval. */
  commentLengthMax: 10_000,
  /** How long a question to an agent waits for its answer, unless its options say otherwise. */
  askTimeoutMs: clientLimits.askTimeoutMs,
  /** Messages that one run of an agent key handles before the key goes on in another. */
  agentMessagesMax: 200,
  /** How long an ended run of an agent key is kept, with the messages that it has given up on. */
  agentRetainMs: 7 * 24 * 60 * 60_000,
  /** Messages and events that a handler sends in one commit. */
  agentSendsMax: 200,
  /** How long a read token is good for, unless it is asked for another time, and at most. */
  readTokenMsDefault: 24 * 3_600_000,
  readTokenMsMax: 30 * 24 * 3_600_000,
  /** Mirrored runs of a strangled route under way at one time in one process, unless its options say otherwise. */
  strangleMirrorsDefault: 50,
  /** The answer of an old handler is kept for comparison up to this size. */
  strangleAnswerBytesMax: 1024 * 1024,
  /** Places at which two answers are found to differ, and kinds of them that a process keeps apart. */
  strangleDifferencesMax: 20,
  strangleDifferenceKindsMax: 100,
  /** Length of a read token; a longer text is none. */
  readTokenLengthMax: 2_048,
  /** API keys of one tenant; and how long one is good for unless it is asked for another time, and at most. */
  apiKeysPerTenantMax: 1_000,
  apiKeyMsDefault: 90 * 24 * 3_600_000,
  apiKeyMsMax: 10 * 365 * 24 * 3_600_000,
  /** Roles, and clearances, of one key. */
  apiKeyRolesMax: 50,
  /** How long the old secret of a key is accepted beside the new one: unless it is asked for another time, and at most. */
  apiKeyOverlapMsDefault: 3_600_000,
  apiKeyOverlapMsMax: 30 * 24 * 3_600_000,
  /** A server believes for so long what it has read of a key: a revoked one is good nowhere after that. */
  apiKeyBelievedMs: 2_000,
  /** Keys that a server remembers, and ids that it remembers to be of none. */
  apiKeysRemembered: 10_000,
  apiKeysUnknownRemembered: 1_000,
  /** How often it is written that a key is in use. */
  apiKeyUseEveryMs: 10 * 60_000,
  /** Length of a JSON Web Token; a longer text is none. */
  jwtLengthMax: 8 * 1024,
  /** Tokens that were found right are remembered, so many, and for so long at most. */
  jwtRemembered: 10_000,
  jwtBelievedMs: 30_000,
  /** Keys of an issuer are read anew after so long, are good for so long while it does not answer, and are asked for again no sooner. */
  issuerKeysFreshMs: 60_000,
  issuerKeysStaleMs: 60 * 60_000,
  issuerKeysPauseMs: 10_000,
  /** An answer of an issuer, and how long it may take. */
  issuerAnswerBytesMax: 256 * 1024,
  issuerTimeoutMs: 5_000,
  /** Tags that one token may show in clear. */
  tokenClearancesMax: 16,
  /** Transitions in one group commit. */
  commitItemsMax: 512,
  /** Transitions waiting for the store before intake answers 503. */
  storeQueueItemsMax: 20_000,
  /** Runs whose folded state is kept in memory by one engine. */
  runCacheItemsMax: 20_000,
  /** Priorities go from 0 to this; higher goes first. */
  priorityMax: 9,
  priorityDefault: 5,
  /** Commands in one submission of a worker. */
  submissionCommandsMax: 256,
  /** Slots of one worker session. */
  workerSlotsMax: 1_000,
  workerSlotsDefault: 100,
  /** What may be asked of scaling: tasks per worker, workers, and queues named in one request. */
  scaleTargetMax: 1_000_000,
  scaleWorkersMax: 10_000,
  scaleWorkersDefault: 100,
  scaleQueuesMax: 200,
  /** Queues and workflows with metrics of their own; those beyond are added up, so that scrapes stay small. */
  metricNamesMax: 500,
  /** One message of the worker protocol. A worker that sends more is cut off. */
  workerFrameBytesMax: 16 * 1024 * 1024,
  /** Submissions are put into one message up to about this size, so that a large batch does not delay small ones. */
  submitFrameBytesTarget: 512 * 1024,
  /** Bytes on their way between a worker and its server, in one direction, before no more work is granted or given. */
  workerBufferBytesMax: 8 * 1024 * 1024,
  /** Time for a connection to open and be welcomed. */
  handshakeMs: 10_000,
  /** Pause before a worker connects again: full jitter below a ceiling that doubles from min to max. */
  reconnectMsMin: 200,
  reconnectMsMax: 5_000,
  /** How long a drain waits for what is in flight. With all that follows it stays below the 30 s of most supervisors. */
  drainGraceMs: 20_000,
  /** How long each of the last parts of a drain may take: last answers, goodbye, return of aborted handlers. */
  drainAnswerMs: 3_000,
  /** A handler that has not returned this long after its abort no longer counts as using its slot. */
  abortGraceMs: 10_000,
  /** A task of a run that only a newer version can read stays out of its queue this long, and is tried again. */
  unreadableAsideMs: 5_000,
  /** Calls that are done together, unless their handler says otherwise, and at most; how long the first waits for others. */
  callBatchDefault: 64,
  callBatchMax: 1_000,
  callBatchWaitMsDefault: 10,
  callBatchWaitMsMax: 60_000,
  /** Tickets granted in one commit, and those of one tenant that the coordinator of admission keeps in memory. */
  admissionBatchMax: 256,
  admissionTicketsMax: 10_000,
  /** Longest pause of an endpoint, however long a one it has asked for: then one call may hear whether it still holds. */
  endpointPauseMsMax: 86_400_000,
  /** Due timers handled in one tick. */
  timerBatchMax: 500,
  /** The shortest interval of a schedule, and the longest cron expression. */
  scheduleEveryMsMin: 1_000,
  scheduleCronLengthMax: 128,
  /** With catch-up `none`, a tick whose run could not be started for so long is left out. */
  scheduleLateMs: 60_000,
  /** Missed ticks that a schedule may ask to be made up for, and ticks that may wait for an earlier run. */
  scheduleCatchUpMax: 1_000,
  scheduleQueueMax: 100,
  /** Runs that one schedule starts in one commit; schedules seen to in one tick of the engine. */
  scheduleStartsMax: 50,
  scheduleBatchMax: 100,
  /** Schedules of one tenant, unless the settings of the engine say otherwise; those of apps are not refused, but count. */
  schedulesPerTenantMax: 1_000,
  /** Outcomes that a schedule remembers, and runs of it that it takes for unfinished at most. */
  scheduleRecentMax: 10,
  scheduleRunningMax: 200,
  /** Page size of lists. */
  pageItemsDefault: 50,
  pageItemsMax: 500,
  /** One chunk of a stream that a step or handler writes, and what is written together. */
  streamChunkBytesMax: 8 * 1024,
  streamBatchBytesMax: 14 * 1024,
  /** Context bundles of one run, its own and inherited ones. */
  contextsPerRunMax: 32,
  /** Streams of one run. */
  streamsPerRunMax: 1_000,
  /** Streams on one live socket, and the length of one message of a client. */
  liveSubscriptionsMax: 100,
  liveMessageBytesMax: 16 * 1024,
  /** Bytes buffered for one slow stream reader before it is cut off. */
  streamBufferBytesMax: 1024 * 1024,
  /** A worker session is dead when its heartbeat counter has not moved for this long (monotonic time of the reaper). */
  sessionDeadMs: 15_000,
  sessionBeatMs: 3_000,
  /** What an activation or call may take before its lease is taken away, unless the definition says otherwise. */
  activationDeadlineMs: 10 * 60_000,
  callDeadlineMs: 5 * 60_000,
  /** A run that waits keeps its body in the worker's memory this long before it is parked. */
  parkAfterMs: 5_000,
  /** Idempotency keys and event ids are remembered for this long. */
  dedupeTtlMs: 72 * 60 * 60_000,
  /** How long a cancelled body may run its cleanup before the run is ended without it. */
  cancelGraceMs: 30_000,
  /** `Prefer: wait=N` is capped here. */
  preferWaitMsMax: 30_000,
  /** How long a claim over plain HTTP waits for a task: unless it says otherwise, and at most. */
  claimWaitMsDefault: 20_000,
  claimWaitMsMax: 30_000,
  /** Outcomes of plain workers that a server remembers, to answer repeats. */
  plainOutcomesKept: 10_000,
  /** Push: tasks at one time and time of one request, unless the endpoint says otherwise; and their bounds. */
  pushConcurrencyDefault: 10,
  pushTimeoutMsDefault: 60_000,
  pushTimeoutMsMax: 15 * 60_000,
  /** An answer of an endpoint. */
  pushAnswerBytesMax: 16 * 1024 * 1024,
  /** Age of a signed request beyond which it is refused, in either direction. */
  signatureWindowMs: 5 * 60_000,
  /** The most that a scheme of webhooks may set it to; secrets of one sender or receiver at a time. */
  webhookWindowMsMax: 24 * 60 * 60_000,
  webhookSecretsMax: 8,
  /** Sources of webhooks of one tenant, made over the API. */
  webhookSourcesMax: 1_000,
  /** Failures in a row after which an endpoint is left alone for a while, and how long: doubling from min to max. */
  pushFailuresMax: 5,
  pushPauseMsMin: 1_000,
  pushPauseMsMax: 5 * 60_000,
  /** Kept connections to hosts that others have named: how long unused ones are, and how many to one host. */
  outgoingIdleMs: 15_000,
  outgoingIdleSocketsMax: 32,
  /** Webhook endpoints of a tenant, their names, URLs and topics. */
  webhooksPerTenantMax: 500,
  webhookNameLengthMax: 64,
  webhookUrlLengthMax: 2_000,
  webhookTopicsMax: 20,
  /** Messages of one partition that are under way to an endpoint, unless it says otherwise. */
  webhookWindowDefault: 32,
  webhookTimeoutMsDefault: 15_000,
  webhookTimeoutMsMax: 60_000,
  /** Attempts of a delivery and pauses between them, unless the endpoint says otherwise: some three days. */
  webhookAttemptsDefault: 100,
  webhookAttemptsMax: 500,
  webhookPauseMsMin: 5_000,
  webhookPauseMsMax: 60 * 60_000,
  /** Longest pause that an endpoint may ask for, or be given. */
  webhookRetryAfterMsMax: 24 * 60 * 60_000,
  /** Attempts of a message that the receiver says it cannot take (400, 413, 415, 422). */
  webhookRefusedAttemptsMax: 5,
  /** Messages that one server has under way at one time. */
  webhookSlots: 512,
  /** How long an old secret signs beside the new one, unless the rotation says otherwise. */
  webhookRotationMsDefault: 24 * 60 * 60_000,
  /** Data of a message; a larger one is a dead letter. */
  webhookBodyBytesMax: 4 * 1024 * 1024,
  /** Events of the feed that the fleet is folded over at a time, and after how many, or how long, a checkpoint is left. */
  fleetStretchEvents: 500,
  fleetCheckpointEvents: 10_000,
  fleetCheckpointEveryMs: 60_000,
  /** How long checkpoints are kept. */
  fleetKeptMs: 30 * 24 * 60 * 60_000,
  /** Events that are folded for one answer: more than lie between two checkpoints, where the fold is not far behind. */
  fleetFoldEventsMax: 50_000,
  /** Counters, and partitions, of one checkpoint: the others are added up. And what it says of queues, workers and cursors. */
  fleetCountersMax: 10_000,
  fleetSampleMax: 1_000,
  /** Unfinished runs that are counted anew where the fold has missed something. */
  fleetRecountRunsMax: 100_000,
  /** States of unfinished runs that the fold keeps in memory. */
  fleetStatesKept: 2_000,
} as const;
