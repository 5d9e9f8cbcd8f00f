/**
 * The catalogue of errors. A code is public API and is never reused; the wording is not. A kind says what the caller
 * may do about it: `invalid` (mend the request), `conflict` (look, then decide), `notFound`, `transient` (try again,
 * perhaps after a delay), `terminal` (never try again), `internal` (a bug of ours).
 */

import { CatalogueError, entry, type Entry } from './catalogue-error.js';
import { clientErrors } from './client-errors.js';

export { hasCode, isSpineError, type ErrorKind } from './catalogue-error.js';

export const errorCatalogue = {
  // Requests
  BODY_NOT_JSON: entry<{ reason: string }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `The body is not valid JSON: ${d.reason}.`,
    mend: 'Send UTF-8 JSON with content-type application/json.',
  }),
  BODY_TOO_LARGE: entry<{ bytesMax: number }>({
    kind: 'invalid',
    status: 413,
    message: (d) => `The body is larger than ${d.bytesMax} bytes.`,
    mend: 'Store the content elsewhere and send a reference, or raise bodyBytesMax of the server.',
  }),
  CONTENT_TYPE_UNSUPPORTED: entry<{ contentType: string; expected: string }>({
    kind: 'invalid',
    status: 415,
    message: (d) => `Content type "${d.contentType}" is not supported here; expected ${d.expected}.`,
    mend: 'Set the content-type header.',
  }),
  REQUEST_INVALID: entry<{ faults: readonly string[] }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `The request is not valid: ${d.faults.join('; ')}.`,
    mend: 'Mend the named fields; /openapi.json describes them.',
  }),
  VALUE_UNSTORABLE: entry<{ path: string; reason: string }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `The value at ${d.path} cannot be stored: ${d.reason}.`,
    mend: 'Remove or re-encode it; docs/reference/codec.md lists what can be stored.',
  }),
  VALUE_TOO_LARGE: entry<{ bytesMax: number }>({
    kind: 'invalid',
    status: 413,
    message: (d) =>
      `The value takes more than ${d.bytesMax} bytes when encoded (bytes take a third more than their size).`,
    mend: 'Store the content elsewhere and return a reference to it, split it over several steps, or raise valueBytesMax of the server.',
  }),
  PAYLOAD_UNREADABLE: entry<{ reason: string }>({
    kind: 'terminal',
    status: 422,
    message: (d) => `The stored value cannot be read: ${d.reason}.`,
    mend: 'It was written by a newer version or by a foreign encoder; docs/reference/codec.md describes the format.',
  }),
  INPUT_INVALID: entry<{ name: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `The input does not fit the schema of "${d.name}": ${d.faults.join('; ')}.`,
    mend: 'Mend the named fields, or deploy a new version of the schema.',
  }),
  EVENT_UNREADABLE: entry<{ topic: string; version: number; faults: readonly string[] }>({
    kind: 'terminal',
    status: 422,
    message: (d) => `An event of topic "${d.topic}" cannot be read as version ${d.version}: ${d.faults.join('; ')}.`,
    mend: 'Mend the schema or the upcaster of that version and redrive the dead letter; docs/concepts/schemas.md says how events of old versions are read.',
  }),
  CLOUDEVENT_INVALID: entry<{ faults: readonly string[] }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `The event is not a valid CloudEvent 1.0: ${d.faults.join('; ')}.`,
    mend: 'See the CloudEvents HTTP binding; id, source, type and specversion are required.',
  }),
  METHOD_NOT_ALLOWED: entry<{ method: string; allowed: string }>({
    kind: 'invalid',
    status: 405,
    message: (d) => `${d.method} is not allowed here; allowed: ${d.allowed}.`,
    mend: 'Use one of the allowed methods.',
  }),
  ROUTE_NOT_FOUND: entry<{ path: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is nothing at ${d.path}.`,
    mend: 'GET /openapi.json lists the routes.',
  }),
  UNAUTHENTICATED: entry<object>({
    kind: 'invalid',
    status: 401,
    message: () => 'The request does not say who is asking, or its credentials are not accepted.',
    mend: 'Send the credentials that this installation asks for.',
  }),
  FORBIDDEN: entry<{ role: string }>({
    kind: 'invalid',
    status: 403,
    message: (d) => `This needs the role "${d.role}".`,
    mend: 'Ask with credentials that have the role, or add it in the `authorize` function of the server.',
  }),
  OUT_OF_SCOPE: entry<{ what: string }>({
    kind: 'invalid',
    status: 403,
    message: (d) => `These credentials do not allow ${d.what}.`,
    mend: 'Ask for what they were given for, or let the route that hands them out (`start` of the mount, `readToken` of a run) give more.',
  }),
  CLEARANCE_NEEDED: entry<{ what: string; tags: readonly string[] }>({
    kind: 'invalid',
    status: 403,
    message: (d) =>
      `These credentials have no clearance for ${d.what}, which may hold fields tagged ${d.tags.join(', ')}.`,
    mend: 'Ask with credentials that are cleared for these tags: `clearances` of the principal or the key, or `redact.roles` of the server.',
  }),
  PERMISSION_MISSING: entry<{ permission: string }>({
    kind: 'invalid',
    status: 403,
    message: (d) => `This needs the permission "${d.permission}".`,
    mend: 'Ask with credentials that have it, or have it added to these: to the API key, the claims of the token, or what `authorize` gives.',
  }),
  READ_TOKEN_INVALID: entry<object>({
    kind: 'invalid',
    status: 401,
    message: () => 'The read token was not made by this installation, or it has been changed on its way.',
    mend: 'Pass the token unchanged. Servers that do not share a store need the same `readTokens.secret`.',
  }),
  READ_TOKEN_EXPIRED: entry<object>({
    kind: 'invalid',
    status: 401,
    message: () => 'The read token has expired.',
    mend: 'Ask for a new one with `readToken` of the run; hooks do that by themselves where the page has a session.',
  }),
  API_KEY_INVALID: entry<object>({
    kind: 'invalid',
    status: 401,
    message: () => 'The API key is none of this installation.',
    mend: 'Pass the key as it was shown when it was made; where it is lost, `eventspine keys rotate` gives it another secret.',
  }),
  API_KEY_EXPIRED: entry<object>({
    kind: 'invalid',
    status: 401,
    message: () => 'The API key has expired.',
    mend: 'Make a new one with `eventspine keys create`.',
  }),
  API_KEY_REVOKED: entry<object>({
    kind: 'invalid',
    status: 401,
    message: () => 'The API key has been revoked.',
    mend: 'Ask whoever runs the installation for another one.',
  }),
  KEY_NOT_FOUND: entry<{ name: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no API key "${d.name}" in this tenant.`,
    mend: 'List them with `eventspine keys list`.',
  }),
  KEY_EXISTS: entry<{ name: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `There is an API key "${d.name}" in this tenant already.`,
    mend: 'Take another name, rotate the key, or revoke it first. Where the answer to making it was lost, rotate it to get a text.',
  }),
  KEY_ENDED: entry<{ name: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `The API key "${d.name}" has been revoked or has expired.`,
    mend: 'Make a new one; it may have the same name.',
  }),
  KEY_INVALID: entry<{ faults: readonly string[] }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `Such an API key cannot be made: ${d.faults.join('; ')}.`,
    mend: 'Mend what is named; docs/guides/access.md describes keys.',
  }),
  KEY_REFUSED: entry<{ faults: readonly string[] }>({
    kind: 'invalid',
    status: 403,
    message: (d) => `A key cannot be given more than its maker has: ${d.faults.join('; ')}.`,
    mend: 'Give it less, or have it made by somebody who may do all that.',
  }),
  TOKEN_REFUSED: entry<{ reason: string }>({
    kind: 'invalid',
    status: 401,
    message: (d) => `The token is not accepted: ${d.reason}.`,
    mend: 'Ask the issuer for a fresh token for this audience; docs/guides/access.md lists what is asked of tokens.',
  }),
  ISSUER_UNREACHABLE: entry<{ issuer: string; reason: string }>({
    kind: 'transient',
    status: 503,
    message: (d) => `The keys of ${d.issuer} cannot be read: ${d.reason}.`,
    mend: 'Check that the server reaches the address of the keys. Tokens are accepted again as soon as it does.',
  }),
  ORIGIN_REFUSED: entry<{ origin: string }>({
    kind: 'invalid',
    status: 403,
    message: (d) => `Pages of "${d.origin}" may not use this server.`,
    mend: 'Declare the origin in the `cors` option of the server.',
  }),
  HOST_REFUSED: entry<{ host: string }>({
    kind: 'invalid',
    status: 421,
    message: (d) => `This server has no \`authorize\` function and answers loopback names only, not "${d.host}".`,
    mend: 'Pass `authorize` to the server, or reach it as localhost or 127.0.0.1.',
  }),
  REQUEST_TIMEOUT: entry<object>({
    kind: 'transient',
    status: 408,
    message: () => 'The request did not arrive in time.',
    mend: 'Send headers and body without long pauses.',
  }),
  HEADERS_TOO_LARGE: entry<object>({
    kind: 'invalid',
    status: 431,
    message: () => 'The headers of the request are too large.',
    mend: 'Send fewer or shorter headers.',
  }),
  UPGRADE_REQUIRED: entry<object>({
    kind: 'invalid',
    status: 426,
    message: () => 'Only a WebSocket is served here.',
    mend: 'Connect with a worker (docs/reference/worker-protocol.md) or with `createLive` (docs/guides/live.md).',
  }),
  EVENT_TOO_LARGE: entry<{ type: string; bytesMax: number }>({
    kind: 'invalid',
    status: 413,
    message: (d) => `The attributes and metadata of the ${d.type} event are larger than ${d.bytesMax} bytes.`,
    mend: 'Move what is large from attributes and labels into the data.',
  }),
  CURSOR_INVALID: entry<object>({
    kind: 'invalid',
    status: 400,
    message: () => 'The cursor was not made by this API or belongs to another stream.',
    mend: 'Start without a cursor, or send back the last one unchanged.',
  }),
  // Definitions
  WORKFLOW_UNKNOWN: entry<{ name: string; known: readonly string[] }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `No workflow "${d.name}" is registered${known(d.known)}.`,
    mend: 'Start a worker that has it.',
  }),
  GRAPH_NOT_FOUND: entry<{ name: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `Workflow "${d.name}" is no graph: it has a body.`,
    mend: 'Ask for a workflow that was defined with `dag`.',
  }),
  AGENT_UNKNOWN: entry<{ name: string; known: readonly string[] }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `No agent "${d.name}" is registered${known(d.known)}.`,
    mend: 'Start a worker that has it.',
  }),
  AGENT_NOT_FOUND: entry<{ agent: string; key: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `Agent "${d.agent}" has had no message for key "${d.key}".`,
    mend: 'Its first message brings it to life; look at the key, and at the tenant of the request.',
  }),
  MESSAGE_UNKNOWN: entry<{ name: string; agent: string; known: readonly string[] }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `Agent "${d.agent}" takes no message "${d.name}"${known(d.known)}.`,
    mend: 'Send one of those that the agent has a handler for.',
  }),
  MAILBOX_FULL: entry<{ agent: string; key: string }>({
    kind: 'transient',
    status: 503,
    message: (d) => `The mailbox of agent "${d.agent}", key "${d.key}", is full.`,
    mend: 'Try again later. If the agent is parked, redrive its run; if it is slow, give it more workers or more keys.',
  }),
  ASK_TIMEOUT: clientErrors.ASK_TIMEOUT,
  ASK_FAILED: clientErrors.ASK_FAILED,
  STATE_INVALID: entry<{ agent: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `The state of agent "${d.agent}" is not valid: ${d.faults.slice(0, 5).join('; ')}.`,
    mend: 'Mend the handler that has made it, or the schema of the state. Nothing of the message was committed.',
  }),
  TOPIC_UNKNOWN: entry<{ name: string; known: readonly string[] }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `No topic "${d.name}" is registered${known(d.known)}.`,
    mend: 'Declare it in the app and start a worker that has it.',
  }),
  TOPIC_OWN: entry<{ name: string }>({
    kind: 'invalid',
    status: 403,
    message: (d) => `Only Eventspine itself publishes to "${d.name}".`,
    mend: 'Declare a topic of your own and publish to that.',
  }),
  WRITER_REQUIRED: entry<{ topic: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) =>
      `Topic "${d.topic}" takes events from the holder of its newest epoch only, and this one names none.`,
    mend: 'Take the topic over (`client.topics.takeOver`) and give the epoch with each event (`writerEpoch`, attribute `writerepoch`).',
  }),
  WRITER_FENCED: entry<{ topic: string; epoch: number; held: number }>({
    kind: 'conflict',
    status: 409,
    message: (d) =>
      `Epoch ${d.epoch} of topic "${d.topic}" is not the newest one, which is ${d.held}: another writes now.`,
    mend: 'Stop: nothing of this event was recorded. Take the topic over again only where no other writer is meant to be.',
  }),
  CAPABILITY_UNKNOWN: entry<{ name: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `No capability "${d.name}" is registered.`,
    mend: 'Add its handler to an app and start a worker that has it.',
  }),
  MODEL_UNKNOWN: entry<{ name: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `No model "${d.name}" is registered.`,
    mend: 'Put model("...") into `models` of an app and start a worker that has it.',
  }),
  PROMPT_VERSION_MISSING: entry<{ prompt: string; version: string; known: readonly string[] }>({
    kind: 'terminal',
    status: 409,
    message: (d) =>
      `The run asks by version "${d.version}" of prompt "${d.prompt}", which this code does not have; it has ${d.known.join(', ')}.`,
    mend: 'Keep a version in the code for as long as runs live that ask by it. Deploy it again, then redrive the run.',
  }),
  MODEL_CHANGE_INVALID: entry<{ model: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `Model "${d.model}" cannot be changed so: ${d.faults.join('; ')}.`,
    mend: 'See the versions with `eventspine models show`, and the changes that there are in docs/guides/models.md.',
  }),
  TOOL_UNGATED: entry<{ name: string }>({
    kind: 'invalid',
    status: 422,
    message: (d) =>
      `A model was to be offered the tool "${d.name}", whose calls nobody judges, and the app has a policy of tools.`,
    mend: 'Hand the tool to `ai.tools`. One that the provider runs needs a rule that allows its name and says nothing else.',
  }),
  TOOL_ORDER_INVALID: entry<{ name: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `The order "${d.name}" over tools is not valid: ${d.faults.join('; ')}.`,
    mend: 'See what an order may say in docs/guides/tools.md.',
  }),
  TOOL_ORDER_LOOSENS: entry<{ name: string }>({
    kind: 'invalid',
    status: 403,
    message: (d) => `The order "${d.name}" allows what is refused without it, or changes what an admin has ordered.`,
    mend: 'Operators may refuse, limit and ask for approval; an admin may do the rest. Ask one.',
  }),
  TOOL_ORDER_UNKNOWN: entry<{ name: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no order "${d.name}" over tools.`,
    mend: 'See what is ordered with `eventspine tools list`.',
  }),
  TRIAGE_CHANGE_INVALID: entry<{ fault: string }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `Triage cannot be changed so: ${d.fault}.`,
    mend: 'See what is in force with `eventspine triage report`, and how a model is trained in docs/guides/triage.md.',
  }),
  OUTCOME_INVALID: entry<{ run: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `That is no outcome of run "${d.run}": ${d.faults.join('; ')}.`,
    mend: 'Name a model that the run has asked, and a score from 0 to 1.',
  }),
  MODEL_VERSION_MISSING: entry<{ model: string; version: string }>({
    kind: 'transient',
    status: 409,
    message: (d) => `This worker does not have version "${d.version}" of model "${d.model}".`,
    mend: 'Another worker may have it; the inference is tried again. Keep a version in the app while it has weight.',
  }),
  INFERENCE_AMBIGUOUS: entry<{ path: string }>({
    kind: 'terminal',
    status: 409,
    message: (d) =>
      `Whether the provider has answered inference "${d.path}" is not known: its worker died in the meantime.`,
    mend: 'Look at the provider, then redrive the run. To go on without asking, give the model another `policy`.',
  }),
  PAUSE_TOO_LONG: entry<{ pauseMs: number; leftMs: number; message: string }>({
    kind: 'terminal',
    status: 503,
    message: (d) =>
      `Asked to wait ${d.pauseMs} ms, which is longer than the ${Math.max(0, d.leftMs)} ms that are left: ${d.message}`,
    mend: 'Give the run or the chain more time (`timeout`, `within`), name a `fallback`, or redrive after the pause.',
  }),
  DEFINITION_INVALID: entry<{ name: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `The definition of "${d.name}" is not valid: ${d.faults.join('; ')}.`,
    mend: 'Mend the definition; nothing was registered.',
  }),
  DEFINITION_CONFLICT: entry<{ name: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `"${d.name}" is defined twice with different content.`,
    mend: 'Give one of them another name.',
  }),
  DEPLOY_REFUSED: entry<{ app: string; faults: readonly string[] }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `The build of "${d.app}" would strand work that is not finished: ${d.faults.join('; ')}.`,
    mend: 'Keep the old body by `previous`, migrate or wait for those runs, or deploy with --leave-waiting; nothing was registered.',
  }),
  // Runs
  RUN_NOT_FOUND: entry<{ run: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no run "${d.run}".`,
    mend: 'Check the id; an ended run is deleted when its retention is over.',
  }),
  RUN_EVENT_NOT_FOUND: entry<{ run: string; events: number }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `Run "${d.run}" has ${d.events} events, and none of them is at that moment.`,
    mend: 'Ask for a number from 1 to that, or an instant at or after the start of the run.',
  }),
  HISTORY_INVALID: entry<{ reason: string }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `This is not an exported history: ${d.reason}.`,
    mend: 'Export it anew: `exportHistory(run)` of the test kit, or `eventspine runs export <id>`.',
  }),
  RUN_NOT_REDRIVABLE: entry<{ run: string; status: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `Run "${d.run}" is ${d.status}; only failed and cancelled runs can be retried.`,
    mend: 'Start a new run, or wait until this one has ended.',
  }),
  RUN_ENDED: entry<{ run: string; status: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `Run "${d.run}" has ended (${d.status}) and takes no more signals.`,
    mend: 'Nothing waits for the signal any more. Start a new run, or send it before the run ends.',
  }),
  SIGNAL_UNKNOWN: entry<{ name: string; workflow: string; known: readonly string[] }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `Runs of "${d.workflow}" take no signal "${d.name}"${known(d.known)}.`,
    mend: 'Send one of those that the workflow declares in `signals`, or declare this one too.',
  }),
  APPROVAL_NOT_FOUND: entry<{ id: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no approval "${d.id}".`,
    mend: 'Take the id from `eventspine approvals`; it goes when its run is deleted.',
  }),
  APPROVAL_NOT_ADDRESSED: entry<{ id: string; by: string }>({
    kind: 'invalid',
    status: 403,
    message: (d) => `Approval "${d.id}" is not put to ${d.by}.`,
    mend: 'Somebody who is asked must decide, or delegate it. Who has which role is what `authorize` says.',
  }),
  APPROVAL_SETTLED: entry<{ id: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `Approval "${d.id}" is settled; the first word counted.`,
    mend: 'Read it to see who has decided, and what.',
  }),

  RUN_NOT_MIGRATABLE: entry<{ run: string; reason: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `Run "${d.run}" cannot move to another version: ${d.reason}.`,
    mend: 'Deploy a build that has the version first; retry a run that has failed, then migrate it.',
  }),
  RUN_NOT_ENDED: entry<{ run: string; state: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `Run "${d.run}" has no result yet; it is ${d.state}.`,
    mend: 'Follow its stream, or ask again later.',
  }),
  RUN_FAILED: entry<{ run: string; class: string; code: string; reason: string }>({
    kind: 'terminal',
    status: 422,
    message: (d) => `Run "${d.run}" failed (${d.class}, ${d.code}): ${d.reason}`,
    mend: 'Look at its dead letter, mend the cause and retry the run; finished steps are not repeated.',
  }),
  RUN_REFUSED: entry<{ run: string; code: string }>({
    kind: 'terminal',
    status: 422,
    message: (d) => `Run "${d.run}" ended on purpose without a result: ${d.code}.`,
    mend: 'The workflow decided so; its own documentation says what the code means.',
  }),
  LIMIT_NOT_FOUND: entry<{ name: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no limit "${d.name}", or nobody has set it in place of what an app declares.`,
    mend: 'List the limits; `eventspine limits` shows what there is and what was set.',
  }),
  LIMIT_INVALID: entry<{ name: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `The limit "${d.name}" is not valid: ${d.faults.join('; ')}.`,
    mend: 'Mend the named options; docs/guides/limits.md describes them.',
  }),
  SCHEDULE_NOT_FOUND: entry<{ name: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no schedule "${d.name}".`,
    mend: 'List the schedules; `eventspine schedules list` shows their names.',
  }),
  SCHEDULE_INVALID: entry<{ name: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `The schedule "${d.name}" is not valid: ${d.faults.join('; ')}.`,
    mend: 'Mend the named options; docs/guides/schedules.md describes them.',
  }),
  SCHEDULES_FULL: entry<{ max: number }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `The tenant has ${d.max} schedules, as many as it may have.`,
    mend: 'Remove schedules that are not needed any more, let one schedule start a run that sees to many things, or raise schedulesPerTenantMax of the engine.',
  }),
  SCHEDULE_OWNED: entry<{ name: string; app: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `The schedule "${d.name}" is defined by the app "${d.app}".`,
    mend: 'Change it in the code of the app and start a worker with that, or take another name. It can be paused from here.',
  }),
  DEAD_LETTER_NOT_FOUND: entry<{ id: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no dead letter "${d.id}".`,
    mend: 'List the dead letters; it may have been redriven or discarded.',
  }),
  SUBSCRIPTION_NOT_FOUND: entry<{ name: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no subscription "${d.name}".`,
    mend: 'Declare it in an app, or make it with `eventspine subscriptions put`; `eventspine subscriptions list` shows what there is.',
  }),
  SUBSCRIPTION_HANDLED: entry<{ name: string; workflow: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `Events of subscription "${d.name}" start runs of "${d.workflow}" and cannot be pulled.`,
    mend: 'Make a subscription of your own on the same topic, without a workflow.',
  }),
  SUBSCRIPTION_OWNED: entry<{ name: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `An app declares the subscription "${d.name}".`,
    mend: 'Change it in the code of the app, or take another name.',
  }),
  SUBSCRIPTION_INVALID: entry<{ name: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `The subscription "${d.name}" is not valid: ${d.faults.join('; ')}.`,
    mend: 'Mend the named options; docs/guides/consumers.md has examples.',
  }),
  WEBHOOK_NOT_FOUND: entry<{ name: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no webhook endpoint "${d.name}".`,
    mend: 'Make it with `eventspine webhooks set`; `eventspine webhooks` shows what there is.',
  }),
  WEBHOOK_INVALID: entry<{ name: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `The webhook endpoint "${d.name}" is not valid: ${d.faults.join('; ')}.`,
    mend: 'Mend the named options; docs/guides/webhooks-out.md has examples.',
  }),
  WEBHOOK_OWNS: entry<{ name: string; webhook: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `The subscription "${d.name}" is part of the webhook endpoint "${d.webhook}".`,
    mend: 'Change or remove the endpoint with `eventspine webhooks`.',
  }),
  WEBHOOK_DISABLED: entry<{ name: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `The webhook endpoint "${d.name}" is shut.`,
    mend: 'Mend the receiver, open it with `eventspine webhooks enable`, then `eventspine webhooks redrive` sends what was given up.',
  }),
  WEBHOOKS_FULL: entry<{ most: number }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `The tenant has ${d.most} webhook endpoints, which is as many as there may be.`,
    mend: 'Remove one that is not needed, or send several topics to one endpoint.',
  }),
  CONSUMER_FENCED: entry<{ name: string; consumer: string; partition: number; offset: number }>({
    kind: 'conflict',
    status: 409,
    message: (d) =>
      `Event ${d.offset} of partition ${d.partition} is not in the hand of consumer "${d.consumer}" of "${d.name}" any more.`,
    mend: 'Drop what was made of it: it is delivered again, or was. If it recurs, renew the lease while working, or pull fewer events at a time.',
  }),
  ACK_OUT_OF_ORDER: entry<{ partition: number; offset: number; before: number }>({
    kind: 'conflict',
    status: 409,
    message: (d) =>
      `Event ${d.offset} of partition ${d.partition} cannot be settled before ${d.before}, which came before it under the same key.`,
    mend: 'Settle events of one key in their order or together, or give the subscription the order "none".',
  }),
  CONSUMERS_FULL: entry<{ name: string; max: number }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `Subscription "${d.name}" has ${d.max} consumers, which is as many as there may be.`,
    mend: 'Let consumers that end say goodbye (`leave`), and give each process one name for all its life.',
  }),
  TOPIC_BEHIND: entry<{ topic: string; subscription: string; reason: string }>({
    kind: 'transient',
    status: 429,
    message: (d) => `Topic "${d.topic}" takes no events now: subscription "${d.subscription}" ${d.reason}.`,
    mend: 'Publish again after the time in Retry-After. Add consumers, or raise `lagMax` of the subscription.',
  }),
  DEAD_EVENT_NOT_FOUND: entry<{ id: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no dead event "${d.id}".`,
    mend: 'List the dead events (`eventspine dead-events`); it may have been redriven or discarded.',
  }),
  DEAD_EVENT_NOT_REDRIVABLE: entry<{ id: string; reason: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `The dead event "${d.id}" cannot be sent back: ${d.reason}.`,
    mend: 'Bring back what it is to go to (the subscription or the bridge it came from), publish its data anew, or discard it.',
  }),
  INPUT_NOT_EDITABLE: entry<{ id: string; reason: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `What "${d.id}" stands for cannot be given another input: ${d.reason}.`,
    mend: 'Redrive it as it is, or discard it and start or send anew.',
  }),
  REDRIVE_NOT_FOUND: entry<{ id: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no redrive "${d.id}".`,
    mend: 'List the redrives; one that has ended is kept for seven days.',
  }),
  REDRIVES_FULL: entry<{ max: number }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `${d.max} redrives are under way, which is as many as there may be.`,
    mend: 'Wait until one has ended, or cancel one.',
  }),
  FLEET_PAST_GONE: entry<{ position: number; at: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `What the fleet was before position ${d.position} (${d.at}) is no longer kept.`,
    mend: 'Ask for a later moment.',
  }),
  FLEET_BEHIND: entry<{ position: number }>({
    kind: 'transient',
    status: 503,
    message: (d) =>
      `The fold of the feed is not far enough for that moment yet; position ${d.position} can be asked for.`,
    mend: 'Ask again in a while; after an upgrade the whole feed is folded once.',
  }),
  IDEMPOTENCY_KEY_REUSED: entry<{ key: string }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `The idempotency key "${d.key}" was used with another body.`,
    mend: 'Use a new key for a new request.',
  }),
  BLOB_NOT_FOUND: entry<{ blob: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no blob "${d.blob}".`,
    mend: 'Upload it first; blobs that nothing refers to are deleted after an hour.',
  }),
  BLOB_MISMATCH: entry<{ blob: string }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `The bytes sent do not have the hash "${d.blob}".`,
    mend: 'Send the bytes whose sha-256 is in the path.',
  }),
  // Workers
  LEASE_LOST: entry<{ run: string; task: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `Task ${d.task} of run ${d.run} is no longer leased to this worker.`,
    mend: 'Stop this attempt; its result is discarded. If it recurs, raise the deadline above the slowest step.',
  }),
  SESSION_GONE: entry<{ session: string }>({
    kind: 'conflict',
    status: 410,
    message: (d) => `Worker session ${d.session} has ended.`,
    mend: 'Connect anew; what it held was given to other workers.',
  }),
  SIGNATURE_INVALID: entry<{ fault: string }>({
    kind: 'invalid',
    status: 401,
    message: (d) => `The signature of the request is not valid: ${d.fault}.`,
    mend: 'Give the endpoint the secret that `eventspine endpoints secret` prints, and see that its clock is right.',
  }),
  WEBHOOK_REFUSED: entry<object>({
    kind: 'invalid',
    status: 401,
    message: () => 'There is no such webhook, or the request was not made with its secret.',
    mend: 'Compare address and secret with those of the sender, and the clocks; `eventspine webhook-sources show` tells why requests were refused.',
  }),
  WEBHOOK_SOURCE_NOT_FOUND: entry<{ name: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no source of webhooks "${d.name}".`,
    mend: 'Declare it in an app, or make it with `eventspine webhook-sources put`; `eventspine webhook-sources list` shows what there is.',
  }),
  WEBHOOK_SOURCE_OWNED: entry<{ name: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `An app declares the source of webhooks "${d.name}".`,
    mend: 'Change it in the code of the app, or take another name. Its secrets are given over the API.',
  }),
  WEBHOOK_SOURCE_INVALID: entry<{ name: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `The source of webhooks "${d.name}" is not valid: ${d.faults.join('; ')}.`,
    mend: 'Mend the named options; docs/guides/webhooks-in.md has examples.',
  }),
  ENDPOINT_REFUSED: entry<{ url: string; reason: string }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `${d.url} cannot be an endpoint: ${d.reason}.`,
    mend: 'Use an https URL of a public address; addresses of this machine need `--push-loopback`.',
  }),
  ENDPOINT_FAILED: entry<{ url: string; reason: string }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `The endpoint ${d.url} did not describe itself: ${d.reason}.`,
    mend: 'Deploy `createHandler` of `eventspine/serverless` there, with the secret that `eventspine endpoints secret` prints.',
  }),
  ENDPOINT_NOT_FOUND: entry<{ app: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `There is no endpoint of an app "${d.app}".`,
    mend: 'List them with `eventspine endpoints`.',
  }),
  PUSH_DISABLED: entry<object>({
    kind: 'conflict',
    status: 409,
    message: () => 'This server has no secret to sign tasks with.',
    mend: 'Start every server with EVENTSPINE_PUSH_SECRET (`whsec_` and 32 random bytes as base64), the same for all.',
  }),
  PROTOCOL_MISMATCH: entry<{ theirs: number; ours: number }>({
    kind: 'invalid',
    status: 426,
    message: (d) => `The worker speaks protocol ${d.theirs}, this server ${d.ours}.`,
    mend: 'Upgrade the older of the two.',
  }),
  WORKER_LOST: entry<object>({
    kind: 'transient',
    status: 503,
    message: () => 'The worker that held the task died or stopped answering.',
    mend: 'Nothing to do: the task was given to another worker. If it recurs, look for crashes or memory limits.',
  }),
  TASK_TIMEOUT: entry<{ deadlineMs: number }>({
    kind: 'transient',
    status: 504,
    message: (d) => `The task took longer than its deadline of ${d.deadlineMs} ms.`,
    mend: 'Raise the timeout of the capability or workflow, or make the work shorter.',
  }),
  WORKER_STOPPED: entry<object>({
    kind: 'transient',
    status: 503,
    message: () => 'The worker was stopped before the work was finished.',
    mend: 'Nothing to do: another worker takes over. If it recurs, give drains more time than the slowest call takes.',
  }),
  WORKER_REFUSED: entry<{ reason: string }>({
    kind: 'terminal',
    status: 409,
    message: (d) => `The server refuses this worker: ${d.reason}`,
    mend: 'Mend what the reason names and start the worker again; trying again unchanged cannot help.',
  }),
  VERSION_UNKNOWN: entry<{ name: string; version: string | null; known: readonly (string | null)[] }>({
    kind: 'notFound',
    status: 404,
    message: (d) =>
      `This worker does not have version ${d.version ?? '(none)'} of workflow "${d.name}"; it has ${d.known.map((v) => v ?? '(none)').join(', ')}.`,
    mend: 'Start a worker that has it, or keep the old body with `previous`.',
  }),
  OUTPUT_INVALID: entry<{ name: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `What "${d.name}" returned does not fit its output schema: ${d.faults.join('; ')}.`,
    mend: 'Mend the code that returns it, or the schema.',
  }),
  // Programming model
  PATH_IN_USE: entry<{ path: string }>({
    kind: 'terminal',
    status: 422,
    message: (d) => `Two steps of one run have the identity "${d.path}".`,
    mend: 'Give each its own name, e.g. ["call", i] in a loop, or use ctx.map with a key.',
  }),
  PATH_INVALID: entry<{ name: string; reason: string }>({
    kind: 'terminal',
    status: 422,
    message: (d) => `"${d.name}" cannot name a step: ${d.reason}.`,
    mend: 'Give a short, non-empty text, or a list of a text and keys such as ["call", i].',
  }),
  PATH_KIND_CHANGED: entry<{ path: string; recorded: string; asked: string }>({
    kind: 'terminal',
    status: 422,
    message: (d) => `"${d.path}" is recorded as a ${d.recorded}, but the code now asks for a ${d.asked} there.`,
    mend: 'Give the new one another name, or declare a new version and keep the old body by `previous`.',
  }),
  SCOPE_MISUSED: entry<{ path: string }>({
    kind: 'terminal',
    status: 422,
    message: (d) => `The ctx of the outer scope was used inside scope "${d.path}".`,
    mend: 'Use the ctx that the scope hands to its body.',
  }),
  BODY_NOT_DETERMINISTIC: entry<{ workflow: string; run: string; what: string; use: string }>({
    kind: 'terminal',
    status: 422,
    message: (d) =>
      `The body of "${d.workflow}" (run ${d.run}) ${d.what}, and a replay would not come to the same. ${d.use}`,
    mend: 'Take time, chance and results from `ctx`; docs/guides/testing.md has a list of what to use instead of what.',
  }),
  HISTORY_FULL: entry<{ run: string; eventsMax: number }>({
    kind: 'terminal',
    status: 422,
    message: (d) => `Run ${d.run} has reached ${d.eventsMax} events.`,
    mend: 'Split the work into several runs.',
  }),
  CHILD_TOO_DEEP: entry<{ run: string; depthMax: number }>({
    kind: 'terminal',
    status: 422,
    message: (d) => `Run ${d.run} is ${d.depthMax} runs below the one that began it, and may not start another.`,
    mend: 'Start the work from a run further up, or as a run of its own by an event.',
  }),
  SAGA_UNDONE: entry<{ path: string }>({
    kind: 'terminal',
    status: 409,
    message: (d) => `Saga "${d.path}" was undone before; what it has done is no longer there.`,
    mend: 'Start a new run.',
  }),
  STEP_FAILED: entry<{ path: string; reason: string }>({
    kind: 'terminal',
    status: 422,
    message: (d) => `Step "${d.path}" failed: ${d.reason}`,
    mend: 'Look at its attempts; redrive the run when the cause is mended.',
  }),
  EFFECT_AMBIGUOUS: entry<{ path: string }>({
    kind: 'terminal',
    status: 409,
    message: (d) =>
      `The external effect of step "${d.path}" may or may not have happened: its worker died in mid-effect.`,
    mend: 'Check at the provider, then redrive the run (the step runs again with the same idempotency key) or discard it.',
  }),
  EFFECT_WITHHELD: entry<{ path: string }>({
    kind: 'terminal',
    status: 409,
    message: (d) =>
      `"${d.path}" has an external effect, and this run only mirrors a request that was answered elsewhere.`,
    mend: 'Nothing is wrong: mirrored runs have no effects outside. To see what comes after it, leave it out where the run has the label "eventspine.mirror" (`ctx.run.labels`).',
  }),
  RUN_CANCELLED: entry<{ reason: string | null }>({
    kind: 'terminal',
    status: 409,
    message: (d) => `The run was cancelled${d.reason === null ? '' : `: ${d.reason}`}.`,
    mend: 'Let it propagate; clean up in finally or under ctx.shield().',
  }),
  // Store and server
  STORE_BUSY: entry<object>({
    kind: 'transient',
    status: 503,
    message: () => 'More work is waiting for the store than is safe to accept.',
    mend: 'Try again after the time in Retry-After.',
  }),
  STORE_UNREACHABLE: entry<object>({
    kind: 'transient',
    status: 503,
    message: () => 'The store did not answer; whether it has recorded the change is not known.',
    mend: 'Try again with the same idempotency key.',
  }),
  STORE_FULL: entry<object>({
    kind: 'transient',
    status: 507,
    message: () => 'The disk is full; nothing can be recorded.',
    mend: 'Free space on the disk; the server recovers by itself.',
  }),
  STORE_FAILED: entry<{ reason: string }>({
    kind: 'internal',
    status: 500,
    message: (d) => `The store has failed and was closed: ${d.reason}.`,
    mend: 'Check the disk, or what a failover has lost; restart the server, which goes on from what the store has.',
  }),
  STORE_CLOSED: entry<object>({
    kind: 'transient',
    status: 503,
    message: () => 'The store is closed.',
    mend: 'The server is stopping; try another, or again later.',
  }),
  STORE_OWNED: entry<{ file: string; owner: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `${d.file} is in use by ${d.owner}.`,
    mend: 'Talk to that server over HTTP (--url), or stop it first.',
  }),
  STORE_TOO_NEW: entry<{ found: number; known: number }>({
    kind: 'terminal',
    status: 500,
    message: (d) => `The store has schema ${d.found}; this version of Eventspine knows up to ${d.known}.`,
    mend: 'Upgrade Eventspine: this schema has what an older version cannot work with.',
  }),
  STORE_UNSUITABLE: entry<{ reason: string }>({
    kind: 'terminal',
    status: 500,
    message: (d) => `The store cannot be used: ${d.reason}.`,
    mend: 'Put the file into a folder on a local disk that is there, and use a supported SQLite driver.',
  }),
  TRANSACTION_UNSUPPORTED: clientErrors.TRANSACTION_UNSUPPORTED,
  TRANSACTION_INVALID: entry<{ reason: string }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `\`tx\` cannot be used: ${d.reason}.`,
    mend: "Pass the open transaction itself (pg, Drizzle, Kysely, Prisma), on the store's database, not a pool or a client beside it.",
  }),
  EVENT_UNKNOWN: entry<{ run: string; type: string }>({
    kind: 'transient',
    status: 503,
    message: (d) => `Run ${d.run} has an event "${d.type}", which a newer version of Eventspine wrote.`,
    mend: 'Nothing is lost: servers and workers of the newer version go on with the run. Finish the upgrade.',
  }),
  STORE_NOT_EMPTY: entry<{ place: string; reason: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `${d.place} is not empty: ${d.reason}.`,
    mend: 'Move into a database or schema that nothing has been stored in; nothing was changed.',
  }),
  MOVE_DIFFERS: entry<{ reason: string }>({
    kind: 'internal',
    status: 500,
    message: (d) => `What was moved is not what was there: ${d.reason}.`,
    mend: 'Nothing was changed. Run `eventspine doctor --store` on the old store; where it finds nothing, report this.',
  }),
  STRANGLE_UNDECIDED: entry<{ name: string; withinMs: number }>({
    kind: 'transient',
    status: 503,
    message: (d) => `The event way of "${d.name}" has not said within ${d.withinMs} ms whether it has the request.`,
    mend: 'Try again under the same idempotency key: the request is done once. `fallback: "always"` lets the old handler answer instead; `startWithin` gives the event way longer.',
  }),
  STRANGLE_PAUSED: entry<{ name: string }>({
    kind: 'transient',
    status: 503,
    message: (d) => `The event way of "${d.name}" has failed several times in a row and is left alone for a moment.`,
    mend: 'Try again after some seconds. Look at the server (`eventspine doctor`), or let the old handler answer meanwhile (`fallback`).',
  }),
  SHUTTING_DOWN: entry<object>({
    kind: 'transient',
    status: 503,
    message: () => 'The server is stopping.',
    mend: 'Try again; another server, or this one after its restart, will answer.',
  }),
  INTERNAL: entry<{ reference: string }>({
    kind: 'internal',
    status: 500,
    message: (d) => `Something went wrong inside Eventspine (reference ${d.reference}).`,
    mend: 'Look for the reference in the server log and report it.',
  }),
  TEST_STUCK: entry<{ reason: string }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `The test cannot go on: ${d.reason}.`,
    mend: 'Give what is waited for (a handler, an event, time by t.advance), or fake what takes real time.',
  }),
  // Options and command line
  OPTIONS_INVALID: clientErrors.OPTIONS_INVALID,
  DURATION_INVALID: clientErrors.DURATION_INVALID,
  LINE_INVALID: entry<{ line: number; reason: string }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `Line ${d.line} was left out: ${d.reason}.`,
    mend: 'Write one JSON object on each line, with the message as "text". The other lines are done; mend and send this one again.',
  }),
  COMMAND_INVALID: entry<{ reason: string }>({
    kind: 'invalid',
    status: 400,
    message: (d) => d.reason,
    mend: 'Run `eventspine help`.',
  }),
  APP_NOT_LOADED: entry<{ file: string; reason: string }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `The app in ${d.file} could not be loaded: ${d.reason}.`,
    mend: 'The file must export the value of defineApp(...), as `app` or as its default export.',
  }),
  TYPESCRIPT_UNSUPPORTED: entry<{ file: string; node: string }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `Node ${d.node} cannot run ${d.file} by itself, and tsx is not installed beside it.`,
    mend: 'Run `npm install --save-dev tsx` there, use Node 22.18 or newer, or compile the app to JavaScript first.',
  }),
  // Bridges, and message buses outside
  BRIDGES_INVALID: entry<{ faults: readonly string[] }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `The bridges are not valid: ${d.faults.join('; ')}.`,
    mend: 'Mend the named members of the file; docs/guides/bridges.md describes them.',
  }),
  BRIDGE_UNKNOWN: entry<{ name: string; known: readonly string[] }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `This server has no bridge "${d.name}"${known(d.known)}.`,
    mend: 'Ask a server that was started with the file of the bridge, or mend the name.',
  }),
  BRIDGE_TOPIC_GUARDED: entry<{ topic: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) =>
      `Topic "${d.topic}" judges its events one by one, by their writer or the numbers of their sources; no bridge brings any into it.`,
    mend: 'Let the bridge bring them into a topic without `writer` and `sources`, and publish them from there by a workflow.',
  }),
  BUS_MESSAGE_UNREADABLE: entry<{ reason: string }>({
    kind: 'invalid',
    status: 422,
    message: (d) => `The message is no event that can be stored: ${d.reason}.`,
    mend: 'Mend its sender; the dead event has it as it came, and can be sent back once the bridge accepts such messages.',
  }),
  BUS_OPTIONS_INVALID: entry<{ bus: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `The options of the bus "${d.bus}" are not valid: ${d.faults.join('; ')}.`,
    mend: 'Mend the named options; the guide of the bus lists them.',
  }),
  BUS_TOPIC_MISSING: entry<{ bus: string; topic: string }>({
    kind: 'notFound',
    status: 404,
    message: (d) => `The bus "${d.bus}" has no topic ${d.topic}.`,
    mend: 'Make the topic there, or let the bridge make it, and check its name and the rights to see it.',
  }),
  BUS_POSITION_LOST: entry<{ bus: string; topic: string; partition: number; offset: string }>({
    kind: 'terminal',
    status: 410,
    message: (d) =>
      `The bus "${d.bus}" has nothing at offset ${d.offset} of ${d.topic}/${d.partition}: it was deleted by retention, or was never there.`,
    mend: 'Decide where to go on: raise the retention of the topic, and set the position anew with the command for bridges. What lies between is not read.',
  }),
  BUS_REFUSED: entry<{ bus: string; reason: string }>({
    kind: 'terminal',
    status: 403,
    message: (d) => `The bus "${d.bus}" will not let us: ${d.reason}.`,
    mend: 'Check user, password and certificates, and the rights of the user for topics and groups.',
  }),
  BUS_MESSAGE_TOO_LARGE: entry<{ bus: string; bytes: number; bytesMax: number }>({
    kind: 'terminal',
    status: 413,
    message: (d) => `A message of ${d.bytes} bytes is too large for the bus "${d.bus}", which takes ${d.bytesMax}.`,
    mend: 'Store the content elsewhere and send a reference, or raise the bound here and at the brokers.',
  }),
  BUS_QUEUE_FULL: entry<{ bus: string; messagesMax: number }>({
    kind: 'transient',
    status: 503,
    message: (d) => `${d.messagesMax} messages wait to be sent to the bus "${d.bus}".`,
    mend: 'Wait for answers of earlier calls before sending more; the brokers may be slow or away.',
  }),
  BUS_CLOSED: entry<{ bus: string }>({
    kind: 'terminal',
    status: 503,
    message: (d) => `The bus "${d.bus}" was closed.`,
    mend: 'Open a new one; nothing is sent or read through one that was closed.',
  }),
  NATS_CLIENT_MISSING: entry<{ packages: readonly string[] }>({
    kind: 'terminal',
    status: 500,
    message: (d) => `The client for NATS is not installed: ${d.packages.join(', ')}.`,
    mend: 'Run `npm install @nats-io/transport-node @nats-io/jetstream` beside this package.',
  }),
  KAFKA_CLIENT_UNUSABLE: entry<{ reason: string }>({
    kind: 'terminal',
    status: 500,
    message: (d) => `The client for Kafka cannot be used: ${d.reason}.`,
    mend: 'Run under Node 22.22 or later, with @platformatic/kafka 2.12 or later installed beside this package.',
  }),
  ADDRESS_UNAVAILABLE: entry<{ address: string; reason: string }>({
    kind: 'conflict',
    status: 409,
    message: (d) => `The server cannot listen on ${d.address}: ${d.reason}.`,
    mend: 'Stop what listens there, or choose another address with --port and --host.',
  }),
  SERVER_UNREACHABLE: clientErrors.SERVER_UNREACHABLE,
} as const;

/** The codes of all errors; `eventspine explain <code>` says what to do about each. */
export type ErrorCode = keyof typeof errorCatalogue;
type DetailOf<C extends ErrorCode> = (typeof errorCatalogue)[C] extends Entry<infer D> ? D : never;

/** An error of the catalogue. Recognise one by `isSpineError`, never by `instanceof`: copies of the package differ. */
export class SpineError<C extends ErrorCode = ErrorCode> extends CatalogueError<C, DetailOf<C>> {
  constructor(code: C, detail: DetailOf<C>, options?: { readonly cause?: unknown }) {
    super(code, errorCatalogue[code] as unknown as Entry<DetailOf<C>>, detail, options);
  }
}

/** A broken invariant; stays on in production. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Invariant broken: ${message}`);
}

export function assertNever(value: never): never {
  throw new Error(`Invariant broken: unexpected ${JSON.stringify(value)}`);
}

function known(names: readonly string[]): string {
  return names.length === 0 ? '' : `; registered: ${names.slice(0, 10).join(', ')}`;
}
