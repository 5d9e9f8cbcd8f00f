/**
 * The routes of the HTTP API, version 1, as data. The server routes by this table, the OpenAPI document is made from
 * it, and tests compare both with it: a route that is not here does not exist.
 */
import { limits } from '../core/limits.js';
import type { SchemaName } from './openapi-schemas.js';
import { routeNeeds, type RouteNeeds } from './route-needs.js';
import { webhookDeliveryStates } from './webhook-views.js';
import { headerNames, type RouteId, routePaths } from './route-paths.js';

export { headerNames, pathOf, type RouteId } from './route-paths.js';

export type RouteMethod = 'GET' | 'POST' | 'PUT' | 'DELETE';

/**
 * Who may use a route: anybody; whoever `authorize` accepts, within the tenant, who has the permission that the route
 * needs; a worker; an operator, who sees all tenants; an admin, who says who may do what in the tenant. The last three are
 * roles given by `authorize`.
 */
export type RouteAccess = 'public' | 'tenant' | 'worker' | 'operator' | 'admin';

/** Credentials that allow less than everything in a tenant. Routes take them by name, so a new route takes none. */
export type RouteCredential = 'page' | 'readToken' | 'topicToken';

export interface RouteParameter {
  readonly name: string;
  readonly says: string;
  readonly type: 'string' | 'integer' | 'boolean';
  /** May be given several times. */
  readonly repeated?: true;
  readonly oneOf?: readonly string[];
}

export interface RouteBody {
  readonly says: string;
  /** Media types accepted, with the schema of each; null = anything. */
  readonly types: Readonly<Record<string, SchemaName | null>>;
  /** False where an empty body has a meaning. */
  readonly required: boolean;
  readonly bytesMax: number;
}

export interface RouteAnswer {
  readonly status: number;
  readonly says: string;
  /** Media type; null = no body. */
  readonly type: string | null;
  /** null = anything. */
  readonly schema: SchemaName | null;
}

export interface Route {
  readonly method: RouteMethod;
  /** Under the base path of the server; `{name}` stands for one percent-encoded segment. */
  readonly path: string;
  readonly says: string;
  readonly access: RouteAccess;
  /** The permission that a caller needs within its tenant; null where `access` says all. */
  readonly needs: RouteNeeds | null;
  /** Narrower credentials that a route takes too: of a user's page, or a read token of the run or of the topic. */
  readonly takes?: readonly RouteCredential[];
  readonly query: readonly RouteParameter[];
  readonly headers: readonly RouteParameter[];
  readonly body: RouteBody | null;
  readonly answers: readonly RouteAnswer[];
}

/** A route apart from where it is and what it needs. */
type RouteDescription = Omit<Route, 'path' | 'needs'>;

const json = 'application/json';
const problem: RouteAnswer = {
  status: 0,
  says: 'Any error, as RFC 9457 problem details with our code and what to do about it.',
  type: 'application/problem+json',
  schema: 'Problem',
};

/** The answer that every route may give; in OpenAPI the `default` response. */
export const problemAnswer = problem;

const idempotencyKey: RouteParameter = {
  name: headerNames.idempotencyKey,
  says: 'Makes repeats of the request harmless: the same key with the same body returns the first run; with another body it is refused (422).',
  type: 'string',
};
const notify: RouteParameter = {
  name: headerNames.notify,
  says: 'URL that is sent a signed message when the run has ended (docs/guides/webhooks-out.md).',
  type: 'string',
};
const prefer: RouteParameter = {
  name: headerNames.prefer,
  says: `RFC 7240. \`wait=N\` answers with the result when the run ends within N seconds (at most ${limits.preferWaitMsMax / 1000}).`,
  type: 'string',
};
const cursor: RouteParameter = { name: 'cursor', says: '`next` of the page before, unchanged.', type: 'string' };
const limit: RouteParameter = {
  name: 'limit',
  says: `Most items of the page: 1 to ${limits.pageItemsMax}; ${limits.pageItemsDefault} by default.`,
  type: 'integer',
};
const runMoment: RouteParameter = {
  name: 'at',
  says: 'The run as it was after its event of this number, or at this instant, ISO 8601. By default now.',
  type: 'string',
};
const labels: RouteParameter = {
  name: 'label',
  says: 'A label of the run, as `name:value`.',
  type: 'string',
  repeated: true,
};
const priority: RouteParameter = {
  name: 'priority',
  says: 'Priority of the run; a higher one goes first. By default that of the workflow.',
  type: 'integer',
};

const delay: RouteParameter = {
  name: 'delay',
  says: 'The body begins so long after the start: `10m`, `2d`, or ms. Not together with `startAt`.',
  type: 'string',
};
const startAt: RouteParameter = {
  name: 'startAt',
  says: 'The body begins at this instant, ISO 8601; one that is past means at once.',
  type: 'string',
};

const scaleBounds: readonly RouteParameter[] = [
  {
    name: 'target',
    says: `Tasks that one worker is to have: 1 to ${limits.scaleTargetMax}; ${limits.workerSlotsDefault} by default.`,
    type: 'integer',
  },
  { name: 'min', says: 'Fewest workers; 0 by default.', type: 'integer' },
  {
    name: 'max',
    says: `Most workers: up to ${limits.scaleWorkersMax}; ${limits.scaleWorkersDefault} by default.`,
    type: 'integer',
  },
  {
    name: 'activation',
    says: 'With `min` 0: no worker is wanted until there are more tasks than this; 0 by default.',
    type: 'integer',
  },
];

function get(says: string, schema: SchemaName | null, rest: Partial<RouteDescription> = {}): RouteDescription {
  return {
    method: 'GET',
    says,
    access: 'tenant',
    query: [],
    headers: [],
    body: null,
    answers: [ok(schema)],
    ...rest,
  };
}

function post(says: string, body: RouteBody | null, answers: readonly RouteAnswer[]): RouteDescription {
  return { method: 'POST', says, access: 'tenant', query: [], headers: [], body, answers };
}

function ok(schema: SchemaName | null, says = 'The answer.', status = 200): RouteAnswer {
  return { status, says, type: json, schema };
}

function jsonBody(schema: SchemaName | null, says: string, required = true): RouteBody {
  return { says, types: { [json]: schema }, required, bytesMax: limits.bodyBytesMax };
}

const commandAnswers = [
  ok('CommandAnswer', 'There was nothing left to do.'),
  ok('CommandAnswer', 'The command is recorded.', 202),
];
const bulkAnswers = [
  ok('BulkAnswer', 'Every command was carried out or had nothing to do.'),
  ok('BulkAnswer', 'Some were refused; each item says why.', 207),
];

/** What each route is for, what it takes and what it answers. */
const descriptions = {
  startRun: {
    ...post(
      'Starts a run of a workflow. The answer is sent when the run is durably recorded.',
      jsonBody(null, 'The input of the workflow; an empty body means null.', false),
      [
        ok('StartAnswer', 'The run is recorded and goes on in the background; `location` is its address.', 202),
        ok(null, 'With `prefer: wait=N`: the output of the run, which ended in time.'),
      ],
    ),
    takes: ['page'],
    query: [labels, priority, delay, startAt],
    headers: [
      idempotencyKey,
      notify,
      {
        ...prefer,
        says: `${prefer.says} \`read-token\`, or \`read-token=N\` for N seconds, adds a read token of the run to the answer.`,
      },
    ],
  },
  startRuns: post(
    `Starts up to ${limits.batchItemsMax} runs; each is accepted or refused by itself.`,
    {
      says: 'A JSON array of items, or one item a line.',
      types: { [json]: 'StartItems', 'application/x-ndjson': 'StartItem' },
      required: true,
      bytesMax: limits.bodyBytesMax,
    },
    [
      ok('BatchStartAnswer', 'All items are recorded, in the order sent.', 202),
      ok('BatchStartAnswer', 'Some items were refused; each says why.', 207),
    ],
  ),
  publishEvents: {
    ...post(
      'Publishes one event or a batch of events. Events with a known id and source are recorded once.',
      {
        says: 'A CloudEvents 1.0 event (structured; binary with `ce-*` headers), a batch of them, or plain JSON as the data of an event.',
        types: {
          [json]: null,
          'application/cloudevents+json': 'CloudEvent',
          'application/cloudevents-batch+json': 'CloudEvents',
          '*/*': null,
        },
        required: false,
        bytesMax: limits.bodyBytesMax,
      },
      [
        ok('PublishAnswer', 'All events are recorded, with the runs that they started.', 202),
        ok('PublishAnswer', 'Some events of the batch were refused; each says why.', 207),
      ],
    ),
    query: [
      { name: 'key', says: 'Partition key, for plain JSON.', type: 'string' },
      {
        name: 'type',
        says: 'Type of the event, for plain JSON; the name of the topic by default.',
        type: 'string',
      },
      {
        name: 'version',
        says: 'Version of the schema that plain JSON is of; the newest that it fits by default.',
        type: 'integer',
      },
    ],
    headers: [
      {
        name: headerNames.idempotencyKey,
        says: 'Id of the event, for plain JSON; made up by default.',
        type: 'string',
      },
    ],
  },
  listTopics: get('Topics that have events, with the head of each partition.', 'TopicPage'),
  readTopic: get('Events of one partition, in order.', 'TopicEventPage', {
    query: [
      { name: 'partition', says: 'Number of the partition; 0 by default.', type: 'integer' },
      {
        name: 'after',
        says: 'Offset after which to begin; by default at the oldest event that is kept.',
        type: 'integer',
      },
      { name: 'at', says: 'Begin with the first event at or after this instant, ISO 8601.', type: 'string' },
      { ...cursor, says: '`next` of the page before; the same as `after`.' },
      limit,
    ],
  }),
  streamTopic: get(
    'The events of a topic as they come (server-sent events), of all partitions or of those named: `start`, `event`, `gap`, `place`.',
    null,
    {
      takes: ['topicToken'],
      query: [
        { name: 'partition', says: 'Number of a partition; all by default.', type: 'integer', repeated: true },
        {
          name: 'from',
          says: 'Where to begin without a cursor; `newest` by default.',
          type: 'string',
          oneOf: ['newest', 'oldest'],
        },
        { name: 'at', says: 'Begin with the first events at or after this instant, ISO 8601.', type: 'string' },
        { name: 'key', says: 'Only events of this key (`partitionkey`).', type: 'string' },
        { name: 'cursor', says: 'Id of the last event seen; the header `last-event-id` wins.', type: 'string' },
      ],
      headers: [{ name: headerNames.lastEventId, says: 'Id of the last event seen.', type: 'string' }],
      answers: [
        {
          status: 200,
          says: 'The stream. Ids are opaque cursors; a stream cut off is resumed by `last-event-id`.',
          type: 'text/event-stream',
          schema: 'TopicStreamEvent',
        },
      ],
    },
  ),
  createTopicToken: post(
    'Makes a token that lets whoever has it follow this topic, or what one key of it has.',
    jsonBody('TopicTokenRequest', 'For how long, and what of the topic the token shows.', false),
    [ok('ReadToken', 'The token. It is not kept anywhere and cannot be taken back; it expires.', 201)],
  ),
  readTopicWriter: get('Who writes to a topic with a single writer.', 'TopicWriterView'),
  takeOverTopic: post(
    'Begins a new epoch of a topic with a single writer; whoever writes under an earlier one is fenced.',
    null,
    [ok('TopicWriterView', 'The epoch to publish under.', 201)],
  ),
  listSources: get('How far the sources of a topic have come, and what is missing of them.', 'SourcePage', {
    query: [cursor, limit],
  }),
  listRuns: get('Runs, newest first.', 'RunPage', {
    query: [
      { name: 'state', says: 'Runs in this state.', type: 'string', repeated: true },
      { name: 'workflow', says: 'Runs of this workflow.', type: 'string' },
      { name: 'version', says: 'Runs of this version; empty: runs that are pinned to none.', type: 'string' },
      { name: 'failureClass', says: 'Runs that failed with this class.', type: 'string' },
      { name: 'label', says: 'Runs with this label, as `name:value`.', type: 'string' },
      { name: 'startedFrom', says: 'Started at or after this instant, ISO 8601.', type: 'string' },
      { name: 'startedBefore', says: 'Started before this instant, ISO 8601.', type: 'string' },
      { name: 'order', says: 'By time of start.', type: 'string', oneOf: ['newest', 'oldest'] },
      cursor,
      limit,
    ],
  }),
  readRun: get('A run: its state, steps, what it waits for and what can be done about it.', 'RunView', {
    takes: ['readToken'],
    query: [runMoment],
  }),
  readHistory: get('Every event of a run, in order.', 'RunEventPage', {
    query: [cursor, limit],
  }),
  readDecisions: get(
    'Why: every inference of a run, what was asked of which model, what came of it, by which way and at what cost.',
    'DecisionPage',
    { query: [runMoment, cursor, limit] },
  ),
  exportRun: get(
    'The history of a run with everything that its body was given, to be replayed on other code.',
    'ExportedHistory',
  ),
  readResult: get(
    'The output of a succeeded run. RUN_NOT_ENDED (409, with retry-after) while there is none; a failure, refusal or cancellation is a problem.',
    null,
    { takes: ['readToken'] },
  ),
  streamRun: get('The events of a run as they happen (server-sent events): `event`, `state`, `gap`, `end`.', null, {
    takes: ['readToken'],
    query: [{ name: 'cursor', says: 'Id of the last event seen; the header `last-event-id` wins.', type: 'string' }],
    headers: [{ name: headerNames.lastEventId, says: 'Id of the last event seen.', type: 'string' }],
    answers: [
      {
        status: 200,
        says: 'The stream. Ids are opaque cursors; a stream cut off is resumed by `last-event-id`.',
        type: 'text/event-stream',
        schema: 'StreamEvent',
      },
      { status: 204, says: 'The run has ended and was read to its end.', type: null, schema: null },
    ],
  }),
  createReadToken: {
    ...post(
      'Makes a token that lets whoever has it read this run: view, result and stream. From a page: of runs that its user has started.',
      jsonBody('ReadTokenRequest', 'For how long, and what the token shows.', false),
      [ok('ReadToken', 'The token. It is not kept anywhere and cannot be taken back; it expires.', 201)],
    ),
    takes: ['page'],
  },
  cancelRun: post(
    'Asks a run to stop. Its body may clean up for a while.',
    jsonBody('CancelRequest', 'Why, for the record.', false),
    commandAnswers,
  ),
  retryRun: post(
    'Sends a failed or cancelled run back to work from what failed; finished steps are not repeated.',
    null,
    commandAnswers,
  ),
  signalRun: {
    ...post(
      'Sends a signal to a run, which keeps it until it waits for it.',
      jsonBody(null, 'What comes with the signal; an empty body means null.', false),
      commandAnswers,
    ),
    headers: [
      {
        name: headerNames.idempotencyKey,
        says: 'Id of the signal: a second one of the same id is the same signal. Made up by default.',
        type: 'string',
      },
    ],
  },
  listApprovals: get('Open approvals, oldest first: those put to the caller, or to an address.', 'ApprovalPage', {
    takes: ['page'],
    query: [
      {
        name: 'to',
        says: 'An address, `role:<name>` or `user:<name>`; `*` = all. By default the caller and the roles of the caller; all for an operator.',
        type: 'string',
        repeated: true,
      },
      cursor,
      limit,
    ],
  }),
  readApproval: get('An approval: what is asked, of whom, and what was said.', 'ApprovalDetail', {
    takes: ['page', 'readToken'],
  }),
  approve: {
    ...post(
      'Approves, as somebody who is asked.',
      jsonBody('ApproveRequest', 'What the form asks for, and a comment.', false),
      commandAnswers,
    ),
    takes: ['page', 'readToken'],
  },
  reject: {
    ...post('Rejects, as somebody who is asked.', jsonBody('RejectRequest', 'Why.', false), commandAnswers),
    takes: ['page', 'readToken'],
  },
  delegateApproval: {
    ...post(
      'Puts the request to others instead.',
      jsonBody('DelegateRequest', 'Addresses of those who are to decide.'),
      commandAnswers,
    ),
    takes: ['page'],
  },
  commentApproval: {
    ...post('Says something without deciding.', jsonBody('CommentRequest', 'What is said.'), commandAnswers),
    takes: ['page', 'readToken'],
  },
  listAgents: get('Keys of an agent that have had messages, in their order.', 'AgentPage', {
    query: [cursor, limit],
  }),
  readAgent: get('What a key of an agent is at: its state, its mailbox, and the run that it is at.', 'AgentView'),
  tellAgent: {
    ...post(
      'Sends a message to the agent of a key, which takes its messages one at a time in the order of their arrival.',
      jsonBody(null, 'What comes with the message; an empty body means null.', false),
      [ok('MessageAnswer', 'The message is recorded.', 202), ok('MessageAnswer', 'It was recorded before.')],
    ),
    query: [{ name: 'reply', says: 'The answer is kept, to be asked for by the id of the message.', type: 'boolean' }],
    headers: [
      {
        name: headerNames.idempotencyKey,
        says: 'Id of the message: a second one of the same id is the same message. Made up by default.',
        type: 'string',
      },
    ],
  },
  readAnswer: {
    ...get('The answer to a message that was sent with `reply`.', 'AgentReply'),
    headers: [
      {
        ...prefer,
        says: `RFC 7240. \`wait=N\` waits for the answer, up to N seconds (at most ${limits.preferWaitMsMax / 1000}).`,
      },
    ],
  },
  cancelRuns: post(
    `Cancels up to ${limits.batchItemsMax} runs.`,
    jsonBody('CancelManyRequest', 'Ids of the runs, and why.'),
    bulkAnswers,
  ),
  retryRuns: post(
    `Retries up to ${limits.batchItemsMax} runs.`,
    jsonBody('ManyRequest', 'Ids of the runs.'),
    bulkAnswers,
  ),
  migrateRun: post(
    'Moves a run to another version of its workflow, which the definitions in force have. Its body begins anew there; finished steps are not repeated.',
    jsonBody('MigrateRequest', 'The version; null = pinned to none.'),
    commandAnswers,
  ),
  migrateRuns: post(
    `Migrates up to ${limits.batchItemsMax} runs.`,
    jsonBody('MigrateManyRequest', 'Ids of the runs, and the version.'),
    bulkAnswers,
  ),
  listDeadLetters: get('What ran out of attempts, newest first.', 'DeadLetterPage', {
    query: [
      { name: 'class', says: 'With this failure class.', type: 'string' },
      { name: 'workflow', says: 'Of runs of this workflow.', type: 'string' },
      { name: 'step', says: 'At this path, with or without its keys, or beneath it.', type: 'string' },
      { name: 'since', says: 'Not older than this instant (ISO 8601).', type: 'string' },
      { name: 'text', says: 'With this in the message or the code, whatever the case.', type: 'string' },
      cursor,
      limit,
    ],
  }),
  countDeadLetters: post(
    `Counts the dead letters that a filter means: up to ${limits.redriveCountMax} are looked at.`,
    jsonBody('DeadLetterFilter', 'The filter; an empty one means all.'),
    [ok('DeadLetterCount')],
  ),
  readDeadLetter: get(
    'A dead letter: why it died, what to do about it, and the trail of what was tried.',
    'DeadLetterDetail',
  ),
  redriveDeadLetter: post(
    'Sends what a dead letter stands for back to work: its run from what failed, or a message to its agent.',
    jsonBody('RedriveOneRequest', 'Why, for the record.', false),
    commandAnswers,
  ),
  editDeadLetter: post(
    'Gives what failed another input and sends its run back to work with it, in one commit. Finished steps are not repeated.',
    jsonBody('EditRequest', 'The input, and why.'),
    commandAnswers,
  ),
  correctDeadLetter: post(
    'Says which class the failure of a dead letter really has: an event of the topic `eventspine.corrections`.',
    jsonBody('CorrectionRequest', 'The class, and why.'),
    commandAnswers,
  ),
  beginRedrive: post(
    'Begins to redrive all dead letters that a filter means now, at a bounded rate. It goes on whatever dies meanwhile.',
    jsonBody('RedriveRequest', 'Which, how fast and why.'),
    [ok('RedriveView', 'It is recorded.', 202)],
  ),
  listRedrives: get('Redrives of many that are under way or have ended in the last days, newest first.', 'RedrivePage'),
  readRedrive: get('A redrive of many: how far it is, and what was refused.', 'RedriveView'),
  cancelRedrive: post(
    'Lets a redrive take no further dead letters. What was sent back stays so.',
    null,
    commandAnswers,
  ),
  discardDeadLetter: {
    ...get('Gives up on a dead letter; its run stays failed.', null),
    method: 'DELETE',
    answers: [{ status: 204, says: 'It is gone from the list.', type: null, schema: null }],
  },
  listSubscriptions: get('Subscriptions by name, with how far they are behind.', 'SubscriptionPage'),
  readSubscription: get('A subscription with its partitions and consumers.', 'SubscriptionDetail'),
  putSubscription: {
    ...post(
      'Makes a subscription whose events are pulled, or changes one that was made.',
      jsonBody('SubscriptionRequest', 'The subscription, as it would be written in code.'),
      [ok('SubscriptionDetail')],
    ),
    method: 'PUT',
  },
  deleteSubscription: {
    ...get('Removes a subscription that was made over the API, with its cursors.', null, {
      answers: [{ status: 204, says: 'It is gone.', type: null, schema: null }],
    }),
    method: 'DELETE',
  },
  receiveWebhook: {
    ...post(
      'Takes a webhook of another system: checked by its signature, recorded once, published to the topic of its source.',
      {
        says: 'As the sender sends it: JSON, a form, text or bytes.',
        types: { '*/*': null },
        required: false,
        bytesMax: limits.bodyBytesMax,
      },
      [
        ok('WebhookAnswer', 'It is recorded, now or before.', 202),
        ok(null, 'The answer to a question of the sender, or no body where the sender wants none.'),
      ],
    ),
    access: 'public',
  },
  listWebhookSources: get('Sources of webhooks by name, with what this server has seen of them.', 'WebhookSourcePage'),
  readWebhookSource: get('A source of webhooks.', 'WebhookSourceView'),
  putWebhookSource: {
    ...post(
      'Makes a source of webhooks, or changes one that was made.',
      jsonBody('WebhookSourceRequest', 'The source, as it would be written in code.'),
      [ok('WebhookSourceView')],
    ),
    method: 'PUT',
  },
  deleteWebhookSource: {
    ...get('Removes a source that was made over the API, with its secrets.', null, {
      answers: [{ status: 204, says: 'It is gone.', type: null, schema: null }],
    }),
    method: 'DELETE',
  },
  addWebhookSecret: {
    ...post(
      'Gives a source a secret. It counts within a second on every server, and is never shown.',
      jsonBody('WebhookSecretRequest', 'The secret, and how long the others still count.'),
      [ok('WebhookSourceView', 'It is there.', 201)],
    ),
    access: 'admin',
  },
  deleteWebhookSecret: {
    ...get('Takes a secret from a source. Within a second no server believes it any more.', null, {
      access: 'admin',
      answers: [{ status: 204, says: 'It is gone.', type: null, schema: null }],
    }),
    method: 'DELETE',
  },
  pullEvents: post(
    'Hands out events to a consumer, which has them until it settles them or its lease is over; waits for one where there is none.',
    jsonBody('PullRequest', 'Who asks, for how many events, and how long it waits.'),
    [ok('PullAnswer', 'The events, perhaps none.')],
  ),
  ackEvents: post(
    "Says that events are done with; all of them, or none where one is not the consumer's any more (CONSUMER_FENCED).",
    jsonBody('AckRequest', 'Who says so, and of which events.'),
    [ok('AckAnswer', 'They are settled.')],
  ),
  nackEvents: post(
    'Gives events back to come again, or says that nobody is to try them again; all of them, or none.',
    jsonBody('NackRequest', 'Who says so, of which events, when they come again, and why.'),
    [ok('NackAnswer', 'What becomes of them.')],
  ),
  renewEvents: post(
    'Says that a consumer is still at work on what it has in hand.',
    jsonBody('RenewRequest', 'Who says so, and of which deliveries.'),
    [ok('RenewAnswer', 'What it has no more.')],
  ),
  leaveSubscription: post(
    'A consumer goes: what it has in hand is delivered to others at once, and does not count as delivered.',
    jsonBody('LeaveRequest', 'Who goes.'),
    [{ status: 204, says: 'It is gone.', type: null, schema: null }],
  ),
  listBridges: get('Bridges of this server to buses outside, and how they stand.', 'BridgePage', {
    access: 'operator',
  }),
  seekBridge: {
    ...post(
      'Lets a bridge go on at another offset: before, to bring messages again; behind, to give up on what the bus has lost.',
      jsonBody('BridgeSeekRequest', 'The partition, and the offset of the next message.'),
      [{ status: 200, says: 'It goes on there.', type: 'application/json', schema: 'BridgeView' }],
    ),
    access: 'operator',
  },
  listDeadEvents: get('Events that were given up on and that no run stands for, oldest first.', 'DeadEventPage', {
    query: [
      { name: 'source', says: 'Given up on by this: `subscription:<name>` or `bridge:<name>`.', type: 'string' },
      { name: 'class', says: 'With this failure class.', type: 'string' },
      cursor,
      limit,
    ],
  }),
  readDeadEvent: get('A dead event with its data as it came.', 'DeadEventDetail'),
  redriveDeadEvent: post(
    'Sends a dead event back to where it came from: to the consumers of its subscription, or through its bridge.',
    jsonBody('CancelRequest', 'Why, for the record.', false),
    commandAnswers,
  ),
  discardDeadEvent: {
    ...get('Gives a dead event up for good.', null),
    query: [{ name: 'reason', says: 'Why, for the record.', type: 'string' }],
    method: 'DELETE',
    answers: [{ status: 204, says: 'It is gone from the list.', type: null, schema: null }],
  },
  listSchedules: get('Schedules in the order of their names.', 'SchedulePage', {
    query: [cursor, limit],
  }),
  readSchedule: get(
    'A schedule: when it starts what, its next ticks and what became of the last ones.',
    'ScheduleView',
  ),
  putSchedule: {
    ...post(
      'Adds a schedule or replaces its definition. Runs that it has started go on; the same again changes nothing.',
      jsonBody('ScheduleRequest', 'What it starts and when.'),
      [ok('ScheduleView', 'It was there.'), ok('ScheduleView', 'It is new.', 201)],
    ),
    method: 'PUT',
  },
  pauseSchedule: post(
    'Lets a schedule start nothing until it is resumed. Ticks of that time are not made up for.',
    jsonBody('PauseRequest', 'Why, for the record.', false),
    [ok('CommandAnswer')],
  ),
  resumeSchedule: post('Lets a paused schedule tick again, from now on.', null, [ok('CommandAnswer')]),
  triggerSchedule: {
    ...post('Starts a run of a schedule now, whatever its ticks do.', null, [
      ok('StartAnswer', 'The run is recorded; `location` is its address.', 202),
    ]),
    headers: [idempotencyKey],
  },
  deleteSchedule: {
    ...get('Removes a schedule; runs that it has started go on.', null),
    method: 'DELETE',
    answers: [{ status: 204, says: 'It is gone.', type: null, schema: null }],
  },
  pauseSubscription: post(
    'Lets a subscription begin nothing until it is resumed. What is under way goes on.',
    jsonBody('PauseRequest', 'Why, for the record.', false),
    [ok('CommandAnswer')],
  ),
  resumeSubscription: post('Lets a paused subscription go on from where it was.', null, [ok('CommandAnswer')]),
  seekSubscription: post(
    'Sets the cursors of a subscription to another place: what lies behind it begins anew, what lies before it is left out.',
    jsonBody('SeekRequest', 'The place.'),
    [ok('SeekAnswer')],
  ),
  replaySubscription: post(
    'Sends the events from a place to the end of the topic through a group of their own, or says what that would begin.',
    jsonBody('ReplayRequest', 'The place, and what handles the events.'),
    [ok('ReplayAnswer', 'A dry run.'), ok('ReplayAnswer', 'It was made.', 201)],
  ),
  readFleet: get(
    'What the fleet was at a moment: runs, queues, limits, models, waits, agents, topics, lag. Counted from events; `gap` and `sample` say what is not.',
    'FleetView',
    {
      access: 'operator',
      query: [
        {
          name: 'at',
          says: 'Position of the feed, or an instant, ISO 8601. By default now.',
          type: 'string',
        },
        { name: 'tenant', says: 'Only what is of this tenant.', type: 'string' },
      ],
    },
  ),
  listQueues: get('Depth and lag of every queue.', 'QueuePage', { access: 'operator' }),
  readScale: get(
    'How many workers a group of queues wants; for autoscalers. Without `app` and `queue` the group is all queues.',
    'ScaleView',
    {
      access: 'operator',
      query: [
        { name: 'app', says: 'The queues that workers of this app serve.', type: 'string', repeated: true },
        { name: 'queue', says: 'A queue by its name.', type: 'string', repeated: true },
        ...scaleBounds,
      ],
    },
  ),
  metrics: get('Queues, runs and workers as metrics, in the text format of Prometheus 0.0.4.', null, {
    access: 'operator',
    query: scaleBounds,
    answers: [{ status: 200, says: 'The metrics.', type: 'text/plain', schema: null }],
  }),
  listWorkers: get('Worker sessions.', 'WorkerPage', { access: 'operator' }),
  readGraph: get('The graph of a workflow: its nodes and what they come after.', 'GraphView'),
  listDefinitions: get('Manifests in force, one of each app.', 'ManifestPage'),
  deploy: {
    ...post(
      'Makes a manifest the newest of its app, or says what that would change. Refused (DEPLOY_REFUSED) where unfinished work would lose its code.',
      jsonBody(
        'DeployRequest',
        'The manifest; `dryRun` only asks; `leaveWaiting` deploys all the same, and what is stranded waits for a worker that has its code.',
      ),
      [ok('DeployAnswer', 'It is the newest, or what would happen.')],
    ),
    access: 'operator',
  },
  doctor: get('Checks the invariants of the store now.', 'DoctorView', { access: 'operator' }),
  live: get('Says that the process answers.', 'LiveView', { access: 'public' }),
  ready: get('Says whether work can be accepted and is done.', 'HealthView', {
    access: 'public',
    query: [
      {
        name: 'for',
        says: '`intake`: only whether work can be accepted. For load balancers, which must not cut off servers for want of workers.',
        type: 'string',
        oneOf: ['intake'],
      },
    ],
    answers: [ok('HealthView', 'Ready.'), ok('HealthView', 'Not ready; `reasons` say why.', 503)],
  }),
  openApi: get('This document.', null, { access: 'public' }),
  asyncApi: get('The AsyncAPI document of the topics that apps declare.', null),
  putBlob: {
    method: 'PUT',
    says: 'Stores the bytes of a large value under their sha-256. Deleted after a while unless something refers to it.',
    access: 'tenant',
    query: [],
    headers: [],
    body: {
      says: 'The bytes.',
      types: { 'application/octet-stream': null },
      required: false,
      bytesMax: limits.payloadBytesMax,
    },
    answers: [{ status: 204, says: 'Stored; storing the same again does no harm.', type: null, schema: null }],
  },
  readBlob: get('The bytes of a large value.', null, {
    answers: [{ status: 200, says: 'The bytes.', type: 'application/octet-stream', schema: null }],
  }),
  workerSocket: get('The WebSocket of workers (docs/reference/worker-protocol.md).', null, {
    access: 'worker',
    query: [{ name: 'role', says: 'Which socket of the worker this is.', type: 'string', oneOf: ['data', 'beat'] }],
    answers: [{ status: 101, says: 'The protocol is switched.', type: null, schema: null }],
  }),
  listWebhooks: get('Webhook endpoints, by name.', 'WebhookPage'),
  readWebhook: get('A webhook endpoint: where it is, what it is told of, and how far it is behind.', 'WebhookView'),
  putWebhook: {
    ...post(
      'Makes a webhook endpoint or changes it. It is told of what is recorded from then on.',
      jsonBody('WebhookRequest', 'Where it is and what it is told of.'),
      [ok('WebhookView')],
    ),
    method: 'PUT',
  },
  deleteWebhook: {
    ...get('Removes a webhook endpoint; what is not delivered yet is given up.', null),
    method: 'DELETE',
    answers: [{ status: 204, says: 'It is gone.', type: null, schema: null }],
  },
  readWebhookSecrets: get('What the receiver checks signatures with.', 'WebhookSecrets'),
  rotateWebhook: post(
    'Gives an endpoint a new secret. The one before signs beside it for a while.',
    jsonBody('WebhookRotation', 'How long both sign.', false),
    [ok('WebhookSecrets', 'All that sign now, the new one first.')],
  ),
  disableWebhook: post(
    'Shuts an endpoint: nothing more is begun, and events wait for it.',
    jsonBody('PauseRequest', 'Why, for the record.', false),
    [ok('WebhookView')],
  ),
  enableWebhook: post('Opens an endpoint that was shut; what has come meanwhile is sent.', null, [ok('WebhookView')]),
  pingWebhook: post('Sends a message that says nothing, and tells what came of it.', null, [ok('WebhookPing')]),
  listWebhookDeliveries: get('Messages to an endpoint, the newest first.', 'WebhookDeliveryPage', {
    query: [
      { name: 'state', says: 'Only those in this state.', type: 'string', oneOf: webhookDeliveryStates },
      cursor,
      limit,
    ],
  }),
  redriveWebhook: post('Sends messages that were given up once more, the oldest first.', null, [
    ok('WebhookRedriveAnswer'),
  ]),
  replayWebhook: post(
    'Sends the events from a place to the end of each topic once more, under the ids that they had.',
    jsonBody('WebhookReplay', 'The place.'),
    [ok('ReplayPage', 'A dry run.'), ok('ReplayPage', 'It was made.', 201)],
  ),
  readNotifySecret: get(
    'What the messages are signed with that go to the addresses which starts are given (`eventspine-notify`).',
    'WebhookSecrets',
  ),
  liveSocket: get(
    'The WebSocket of live streams: those of runs and topics, many on one socket (docs/guides/live.md). Each is granted as its own route grants it.',
    null,
    {
      access: 'public',
      takes: ['page', 'readToken', 'topicToken'],
      answers: [{ status: 101, says: 'The protocol is switched.', type: null, schema: null }],
    },
  ),
  listEndpoints: get('Endpoints that tasks are sent to.', 'EndpointPage', { access: 'operator' }),
  putEndpoint: {
    ...post(
      'Asks an endpoint what it serves, and sends it the tasks of its app from now on.',
      jsonBody('EndpointRequest', 'Where it is and how much it takes.'),
      [ok('EndpointView')],
    ),
    method: 'PUT',
    access: 'operator',
  },
  deleteEndpoint: {
    ...get('Sends an endpoint nothing more; its definitions stay.', null, {
      answers: [{ status: 204, says: 'It is sent nothing more.', type: null, schema: null }],
    }),
    method: 'DELETE',
    access: 'operator',
  },
  readEndpointSecret: get('The secret that the endpoint of an app checks signatures with.', 'EndpointSecret', {
    access: 'operator',
  }),
  listModels: get('Models of the registered apps, as they are in force.', 'ModelPage', {
    access: 'operator',
  }),
  readModel: get('A model: its versions, their weights, and the breakers of their endpoints.', 'ModelView', {
    access: 'operator',
  }),
  changeModel: {
    ...post(
      'Changes how new runs are shared between the versions of a model, or lets an endpoint be called again. Runs that have asked a version stay with it.',
      jsonBody('ModelOrder', 'What is changed.'),
      [ok('ModelView')],
    ),
    method: 'PUT',
    access: 'operator',
  },
  reportModel: get('How the versions of a model do against one of them.', 'ModelReportView', {
    query: [
      {
        name: 'against',
        says: 'Version that the others are compared with; default: the first.',
        type: 'string',
      },
      {
        name: 'alpha',
        says: 'How often at most a difference is shown where there is none, from 0.0001 to 0.5; default 0.05.',
        type: 'string',
      },
    ],
    access: 'operator',
  }),
  readModelEvents: get('What was changed of models, and which breakers have moved, oldest first.', 'ModelEventPage', {
    query: [cursor, limit],
    access: 'operator',
  }),
  reportOutcome: post(
    'Says what somebody has made of the answers of a model in a run. One for each run, model and `id`; a repeat changes nothing.',
    jsonBody('OutcomeRequest', 'The model, and the score.'),
    [ok(null, 'It was there.'), ok(null, 'It is recorded.', 201)],
  ),
  readCache: get('Answers of models that are kept to serve again, of the tenant.', 'CacheView', { access: 'operator' }),
  clearCache: {
    ...get('Drops answers that are kept. What is kept from then on stays.', 'CacheCleared', {
      query: [{ name: 'model', says: 'Only those of this model.', type: 'string' }],
    }),
    method: 'DELETE',
    access: 'operator',
  },
  readTriage: get('What failures are classified by, and how the model in the shadow differs from it.', 'TriageView', {
    access: 'operator',
  }),
  changeTriage: {
    ...post(
      'Asks a model of triage beside the one in force, promotes it, or takes a promotion back.',
      jsonBody('TriageOrder', 'What is changed.'),
      [ok('TriageView')],
    ),
    method: 'PUT',
    access: 'operator',
  },
  readTools: get('What apps say of the tools of models, and what operators have ordered over it.', 'ToolPoliciesView', {
    access: 'operator',
  }),
  putToolOrder: {
    ...post(
      'Orders what becomes of calls of tools, over what apps say, in the place of an order of the same name. To allow what apps refuse, and to change what an admin has ordered, takes an admin.',
      jsonBody('ToolOrderRequest', 'The order.'),
      [ok('ToolOrderView')],
    ),
    method: 'PUT',
    access: 'operator',
  },
  dropToolOrder: {
    ...get('Takes an order over tools back. One of an admin takes an admin.', null, {
      answers: [{ status: 204, says: 'It is taken back.', type: null, schema: null }],
    }),
    method: 'DELETE',
    access: 'operator',
  },
  listLimits: get('Limits in force, and how they stand.', 'LimitPage', { access: 'operator' }),
  readLimit: get('A limit, with its counters that are used most.', 'LimitView', { access: 'operator' }),
  putLimit: {
    ...post(
      'Sets a limit in place of what apps declare, from now on. What there is room for goes on.',
      jsonBody('LimitRequest', 'The limit, as it would be written in code.'),
      [ok('LimitView')],
    ),
    method: 'PUT',
    access: 'operator',
  },
  resetLimit: {
    ...get('What apps declare holds again.', null, {
      answers: [{ status: 204, says: 'It is as apps declare it.', type: null, schema: null }],
    }),
    method: 'DELETE',
    access: 'operator',
  },
  listKeys: get('API keys of the tenant, also those that have ended.', 'KeyPage', {
    access: 'admin',
    query: [cursor, limit],
  }),
  createKey: {
    ...post(
      'Makes an API key. It can do no more than whoever makes it.',
      jsonBody('KeyRequest', 'Whom it stands for, and what it may do.'),
      [ok('MadeKeyView', 'The key; its text is shown this once.', 201)],
    ),
    access: 'admin',
  },
  readKey: get('An API key: what it may do, and when it was used last.', 'KeyView', {
    access: 'admin',
  }),
  rotateKey: {
    ...post(
      'Gives an API key another secret. The one that it had is accepted for a while beside it.',
      jsonBody('RotateRequest', 'For how long: ms or a text like `1h`; by default an hour.', false),
      [ok('MadeKeyView', 'The key with its new text, which is shown this once.')],
    ),
    access: 'admin',
  },
  revokeKey: {
    ...get('Ends an API key: within two seconds no server accepts it.', 'KeyView'),
    method: 'DELETE',
    access: 'admin',
  },
  listAccessEvents: get(
    'The record of access, newest first: what was refused to whom, and what operators and admins have done.',
    'AccessEventPage',
    {
      access: 'admin',
      query: [
        {
          name: 'of',
          says: '`nobody`: what callers tried whom nobody knows; for operators. By default what was done in the tenant.',
          type: 'string',
          oneOf: ['tenant', 'nobody'],
        },
        cursor,
        limit,
      ],
    },
  ),
  workerSchema: get('JSON Schemas of the worker protocol.', null, { access: 'public' }),
  claimTasks: {
    ...post(
      'Takes tasks for a worker without a WebSocket; waits for one where there is none.',
      jsonBody('ClaimRequest', 'Who asks, and what it can do.'),
      [ok('ClaimAnswer', 'The tasks, perhaps none.')],
    ),
    access: 'worker',
  },
  extendTasks: {
    ...post(
      'Says that a worker without a WebSocket lives, and asks what it has lost.',
      jsonBody('ExtendRequest', 'Its session, and what it works on.'),
      [ok('ExtendAnswer')],
    ),
    access: 'worker',
  },
  completeTasks: {
    ...post(
      'Hands in what came of tasks. Each is recorded or refused by itself; repeats do no harm.',
      { ...jsonBody('CompleteRequest', 'Results and failures.'), bytesMax: limits.payloadBytesMax },
      [ok('CompleteAnswer', 'What became of each.')],
    ),
    access: 'worker',
  },
  endWorker: {
    ...post(
      'Ends the session of a worker without a WebSocket; what it holds goes back uncounted.',
      jsonBody('EndRequest', 'Its session.'),
      [{ status: 204, says: 'It is over.', type: null, schema: null }],
    ),
    access: 'worker',
  },
} as const satisfies Record<RouteId, RouteDescription>;

/** Every route by its operation id. */
export const routes: Readonly<Record<RouteId, Route>> = Object.fromEntries(
  (Object.keys(routePaths) as RouteId[]).map((id) => [
    id,
    { path: routePaths[id], needs: routeNeeds[id], ...descriptions[id] },
  ]),
) as Record<RouteId, Route>;
