/** Every command of `eventspine`. Help, parsing and docs/reference/cli.md are made from this table. */
import type { Command, CommandRun, Flag, Parameter } from './command.js';
import { templates } from './init/templates.js';

const json: Flag = {
  name: 'json',
  type: 'truth',
  says: 'Print JSON for programs: one value, or one line for each item. Errors are JSON on the standard error output.',
};
const url: Flag = {
  name: 'url',
  type: 'text',
  value: 'url',
  says: 'Address of the server. Default: EVENTSPINE_URL, else http://127.0.0.1:8787.',
};
const token: Flag = {
  name: 'token',
  type: 'text',
  value: 'token',
  says: 'Bearer token for the server. Default: EVENTSPINE_TOKEN.',
};
const overHttp = [url, token, json];
const urls: Flag = {
  ...url,
  repeated: true,
  says: 'Address of a server; of several, each will do. Default: EVENTSPINE_URL, else http://127.0.0.1:8787.',
};
const secret: Flag = {
  name: 'token',
  type: 'text',
  value: 'token',
  says: 'Answer only requests with this bearer token; needed to listen for other machines. Default: EVENTSPINE_TOKEN, else none.',
};

const limit: Flag = { name: 'limit', type: 'number', value: 'n', says: 'Show at most so many. Default 50.' };
const workflowFlag: Flag = { name: 'workflow', type: 'text', value: 'name', says: 'Only of this workflow.' };
const classFlag: Flag = { name: 'class', type: 'text', value: 'class', says: 'Only with this failure class.' };
const reasonFlag: Flag = { name: 'reason', type: 'text', value: 'text', says: 'Why, for the record.' };
const letterFilterFlags: readonly Flag[] = [
  workflowFlag,
  classFlag,
  { name: 'step', type: 'text', value: 'path', says: 'Only at this path, with or without its keys, or beneath it.' },
  {
    name: 'since',
    type: 'text',
    value: 'instant',
    says: 'Only since this instant (ISO 8601), or for so long, like 2h.',
  },
  { name: 'text', type: 'text', value: 'text', says: 'Only with this in the message or the code.' },
];
const slots: Flag = {
  name: 'slots',
  type: 'number',
  value: 'n',
  says: 'Bodies and calls that one worker runs at the same time.',
};
const port: Flag = {
  name: 'port',
  type: 'number',
  value: 'port',
  says: 'Port to listen on; 0 takes any free one. Default 8787.',
};
const host: Flag = {
  name: 'host',
  type: 'text',
  value: 'address',
  says: 'Address to listen on. One that other machines can reach needs --token. Default 127.0.0.1.',
};

const pushLoopback: Flag = {
  name: 'push-loopback',
  type: 'truth',
  says: 'Let endpoints be on this machine, also by plain http. For development.',
};

const only: Flag = {
  name: 'only',
  type: 'text',
  value: 'names',
  repeated: true,
  says: 'Offer only these workflows and capabilities. Default: all that the app implements.',
};
const drain: Flag = {
  name: 'drain',
  type: 'text',
  value: 'time',
  says: 'How long a worker may take to finish its work and say goodbye when it is to end; then it is cut off. Default 30s.',
};
const envFile: Flag = {
  name: 'env-file',
  type: 'text',
  value: 'file',
  repeated: true,
  says: 'File of variables for the workers, as of `node --env-file`.',
};
const conditions: Flag = {
  name: 'conditions',
  type: 'text',
  value: 'name',
  repeated: true,
  says: 'Conditions of package exports, as of `node --conditions`.',
};

function store(defaultFile: string, database: boolean): Flag {
  return {
    name: 'store',
    type: 'text',
    value: 'store',
    says: `SQLite file, made if it is not there, or a URL like postgres://host/database. Default: EVENTSPINE_STORE, ${database ? 'else DATABASE_URL, ' : ''}else ${defaultFile}.`,
  };
}

const app: Parameter = {
  name: 'app',
  says: 'Module that exports the app, as `app` or by default; JavaScript, or TypeScript where Node or tsx can run it.',
  required: true,
};
const run: Parameter = { name: 'run', says: 'Id of the run.', required: true };
const runsParameter: Parameter = { name: 'run', says: 'Ids of runs.', required: true, rest: true };
const letter: Parameter = { name: 'dead-letter', says: 'Id of the dead letter.', required: true };
const redriveParameter: Parameter = { name: 'redrive', says: 'Id of the redrive.', required: true };
const scheduleParameter: Parameter = { name: 'schedule', says: 'Name of the schedule.', required: true };
const subscriptionParameter: Parameter = {
  name: 'subscription',
  says: 'Name of the subscription.',
  required: true,
};
const letters: Parameter = { name: 'dead-letter', says: 'Ids of dead letters.', required: true, rest: true };

const deadEvent: Parameter = { name: 'dead-event', says: 'Id of the dead event.', required: true };
const deadEventsMeant: Parameter = { name: 'dead-event', says: 'Ids of dead events.', required: false, rest: true };
const deadEventFlags: readonly Flag[] = [
  { name: 'source', type: 'text', value: 'source', says: 'Only of this: subscription:<name> or bridge:<name>.' },
  classFlag,
];

const agentName = { name: 'agent', says: 'Name of the agent.', required: true } as const;
const agentKey = { name: 'key', says: 'Key of the agent.', required: true } as const;
const messageWords = [
  { name: 'message', says: 'Type of the message.', required: true },
  { name: 'data', says: 'What comes with it: JSON, @file, or - for the standard input.', required: false },
] as const;
const approval: Parameter = { name: 'approval', says: 'Id of the approval.', required: true };
const commentFlag: Flag = { name: 'comment', type: 'text', value: 'text', says: 'Said with it.' };
/** For operators, who pass on the word of somebody else. */
const inNameOf: readonly Flag[] = [
  { name: 'as', type: 'text', value: 'user', says: 'In the name of this user; only for operators.' },
  { name: 'role', type: 'text', value: 'role', repeated: true, says: 'A role of the user given by --as.' },
];
const appName: Parameter = { name: 'app', says: 'Name of the app.', required: true };

type Load = () => Promise<CommandRun>;
const runs = {
  list: async () => (await import('./commands/runs.js')).listRuns,
  show: async () => (await import('./commands/runs.js')).showRun,
  why: async () => (await import('./commands/why.js')).whyRun,
  export: async () => (await import('./commands/runs.js')).exportRun,
  watch: async () => (await import('./commands/watch.js')).watchRun,
  cancel: async () => (await import('./commands/runs.js')).cancelRuns,
  retry: async () => (await import('./commands/runs.js')).retryRuns,
  migrate: async () => (await import('./commands/runs.js')).migrateRuns,
} satisfies Record<string, Load>;

const modelParameter: Parameter = { name: 'model', says: 'Name of the model.', required: true };
const versionParameter: Parameter = { name: 'version', says: 'Version of the model.', required: true };
const modelCommands = {
  list: async () => (await import('./commands/models.js')).listModels,
  show: async () => (await import('./commands/models.js')).showModel,
  weights: async () => (await import('./commands/models.js')).setWeights,
  promote: async () => (await import('./commands/models.js')).promoteVersion,
  rollback: async () => (await import('./commands/models.js')).rollBack,
  reset: async () => (await import('./commands/models.js')).resetModel,
  closeBreaker: async () => (await import('./commands/models.js')).closeBreaker,
  report: async () => (await import('./commands/models.js')).reportModel,
  shadow: async () => (await import('./commands/models.js')).setShadow,
} satisfies Record<string, Load>;
const limitParameter: Parameter = { name: 'limit', says: 'Name of the limit.', required: true };
const cache = {
  stats: async () => (await import('./commands/cache.js')).showCache,
  clear: async () => (await import('./commands/cache.js')).clearCache,
} as const;

const limitCommands = {
  list: async () => (await import('./commands/limits.js')).listLimits,
  show: async () => (await import('./commands/limits.js')).showLimit,
  set: async () => (await import('./commands/limits.js')).setLimit,
  reset: async () => (await import('./commands/limits.js')).resetLimit,
};
const schedules = {
  list: async () => (await import('./commands/schedules.js')).listSchedules,
  show: async () => (await import('./commands/schedules.js')).showSchedule,
  put: async () => (await import('./commands/schedules.js')).putSchedule,
  pause: async () => (await import('./commands/schedules.js')).pauseSchedule,
  resume: async () => (await import('./commands/schedules.js')).resumeSchedule,
  trigger: async () => (await import('./commands/schedules.js')).triggerSchedule,
  remove: async () => (await import('./commands/schedules.js')).deleteSchedule,
} satisfies Record<string, Load>;

/** The table, in the order in which help shows it. */
export const commands: readonly Command[] = [
  {
    words: ['init'],
    says: 'Makes a new project in an empty folder.',
    more: `Templates: ${templates.map(({ name, says }) => `\`${name}\`: ${says}`).join(' ')} Each is TypeScript with tests, and needs neither network nor key. Nothing is installed.`,
    parameters: [
      { name: 'folder', says: 'Where to make it; made if it is not there. Default: this folder.', required: false },
    ],
    flags: [
      {
        name: 'template',
        type: 'text',
        value: 'name',
        says: `${templates.map(({ name }) => name).join(', ')}. Default ${templates[0]?.name}.`,
      },
      json,
    ],
    examples: ['eventspine init my-app', 'eventspine init answers --template rag-with-approval'],
    load: async () => (await import('./commands/init.js')).init,
  },
  {
    words: ['dev'],
    says: 'Runs everything on this machine while you write the app: server, embedded store, workers.',
    more: 'Workers are processes of their own; they are replaced when code under the folder of the app changes, after they have drained, and started again when they crash. Ctrl-C drains and ends all of it.',
    parameters: [app],
    flags: [
      { name: 'workers', type: 'number', value: 'n', says: 'Worker processes. Default 1.' },
      slots,
      port,
      host,
      secret,
      store('.eventspine/dev.db', false),
      pushLoopback,
      envFile,
      conditions,
      { name: 'inspect', type: 'truth', says: 'Open the inspector of the workers for a debugger.' },
      {
        name: 'inline',
        type: 'truth',
        says: 'Run the worker in this process. For debugging; changes of the code are not followed.',
      },
      json,
    ],
    examples: [
      'eventspine dev spine.ts',
      'eventspine dev spine.ts --workers 2 --env-file .env',
      'eventspine dev spine.ts --inline --inspect',
    ],
    load: async () => (await import('./commands/dev.js')).dev,
  },
  {
    words: ['start'],
    says: 'Runs server and worker in one process, for a small deployment.',
    parameters: [app],
    flags: [slots, port, host, secret, store('eventspine.db', true), pushLoopback, json],
    examples: ['eventspine start app.mjs --store /data/spine.db'],
    load: async () => (await import('./commands/start.js')).start,
  },
  {
    words: ['serve'],
    says: 'Runs the server alone; workers connect to it.',
    more: 'SIGTERM and Ctrl-C stop it in order: answers under way are finished, the store is closed. It ends with code 1 when the store fails; started again, it recovers what is on disk.',
    parameters: [],
    flags: [port, host, secret, store('eventspine.db', true), pushLoopback, json],
    examples: [
      'eventspine serve --store /data/spine.db --port 8787',
      'eventspine serve --host 0.0.0.0 --token "$TOKEN"',
      'eventspine serve --store postgres://spine@db/spine',
    ],
    load: async () => (await import('./commands/serve.js')).serve,
  },
  {
    words: ['worker'],
    says: 'Runs a worker for a server elsewhere.',
    more: 'It waits for a server that is not there, goes to the next where there are several, keeps its work over lost connections, and drains on SIGTERM.',
    parameters: [app],
    flags: [
      slots,
      only,
      drain,
      {
        name: 'parent',
        type: 'number',
        value: 'pid',
        says: 'Drain and end when this process, which started the worker, is gone; for supervisors.',
      },
      urls,
      token,
      json,
    ],
    examples: [
      'eventspine worker app.mjs --url http://spine:8787',
      'eventspine worker app.mjs --url http://one:8787 --url http://two:8787',
      'eventspine worker app.mjs --only embed,retrieve --slots 8',
    ],
    load: async () => (await import('./commands/worker.js')).runWorker,
  },
  {
    words: ['scale'],
    says: 'Runs as many workers on this machine as the backlog of their queues wants.',
    more: 'More workers start at once; fewer are left only when nothing has asked for more during the window, and those that go drain first. It begins with one worker at least, which brings the definitions to the server. A worker that crashes is started again after a pause that grows; while the server does not answer, the number stays as it is. Ctrl-C and SIGTERM drain all workers; they end too when this process is killed. With `--json` every change is a line: scaled, started, draining, ended, killed, crashed, crash_loop, unmeasured.',
    parameters: [app],
    flags: [
      {
        name: 'min',
        type: 'number',
        value: 'n',
        says: 'Fewest workers; 0 lets the last one go when there is nothing to do. Default 1.',
      },
      { name: 'max', type: 'number', value: 'n', says: 'Most workers. Default: as many as the machine has cores.' },
      {
        name: 'target',
        type: 'number',
        value: 'n',
        says: 'Tasks, ready and under way, that one worker is to have. Default: --slots, else 100.',
      },
      {
        name: 'activation',
        type: 'number',
        value: 'n',
        says: 'With --min 0: start no worker until there are more tasks than this. Default 0.',
      },
      { name: 'every', type: 'text', value: 'time', says: 'How often to look at the backlog. Default 2s.' },
      {
        name: 'window',
        type: 'text',
        value: 'time',
        says: 'Let workers go only when so long nothing has asked for more. Default 1m.',
      },
      drain,
      slots,
      only,
      envFile,
      conditions,
      ...overHttp,
    ],
    examples: [
      'eventspine scale app.mjs --max 8 --target 20 --slots 10',
      'eventspine scale app.mjs --url http://spine:8787 --only embed --min 0 --window 5m',
    ],
    load: async () => (await import('./commands/scale.js')).scale,
  },
  {
    words: ['run'],
    says: 'Starts a run of a workflow.',
    parameters: [
      { name: 'workflow', says: 'Name of the workflow.', required: true },
      { name: 'input', says: 'Its input as JSON, @file, or - for the standard input. Default: null.', required: false },
    ],
    flags: [
      {
        name: 'wait',
        type: 'truth',
        says: 'Wait for the result and print that. Ctrl-C stops the waiting, not the run.',
      },
      {
        name: 'key',
        type: 'text',
        value: 'key',
        says: 'Idempotency key: the same key with the same input gives the same run.',
      },
      { name: 'label', type: 'text', value: 'name:value', repeated: true, says: 'Label to find the run by.' },
      { name: 'delay', type: 'text', value: 'time', says: 'Begin so much later, e.g. 10m or 2d.' },
      { name: 'at', type: 'text', value: 'instant', says: 'Begin at this instant, e.g. 2026-01-31T12:00:00Z.' },
      ...overHttp,
    ],
    examples: [
      `eventspine run answer '{"question":"why?"}' --wait`,
      'eventspine run ingest @document.json --label order:17',
    ],
    load: async () => (await import('./commands/intake.js')).startRun,
  },
  {
    words: ['graph'],
    says: 'Shows the graph of a workflow that was defined with `dag`.',
    parameters: [{ name: 'workflow', says: 'Name of the workflow.', required: true }],
    flags: [{ name: 'mermaid', type: 'truth', says: 'Print the text that Mermaid makes a drawing of.' }, ...overHttp],
    examples: ['eventspine graph ingest', 'eventspine graph ingest --mermaid'],
    load: async () => (await import('./commands/graph.js')).showGraph,
  },
  {
    words: ['publish'],
    says: 'Publishes an event to a topic.',
    more: 'A value with specversion, id, source and type is published as the CloudEvent that it is; anything else is the data of a new event.',
    parameters: [
      { name: 'topic', says: 'Name of the topic.', required: true },
      { name: 'data', says: 'The event or its data as JSON, @file, or - for the standard input.', required: true },
    ],
    flags: [
      {
        name: 'id',
        type: 'text',
        value: 'id',
        says: 'Id of the event; an event with a known id and source is recorded once. Default: random.',
      },
      { name: 'key', type: 'text', value: 'key', says: 'Partition key. Default: what the topic selects.' },
      { name: 'type', type: 'text', value: 'type', says: 'Type of the event. Default: the name of the topic.' },
      { name: 'subject', type: 'text', value: 'text', says: 'Subject of the event.' },
      { name: 'source', type: 'text', value: 'uri', says: 'Source of the event. Default eventspine/client.' },
      ...overHttp,
    ],
    examples: [`eventspine publish document.uploaded '{"name":"a.md"}'`],
    load: async () => (await import('./commands/intake.js')).publishEvent,
  },
  {
    words: ['runs', 'list'],
    says: 'Lists runs, newest first.',
    parameters: [],
    flags: [
      {
        name: 'state',
        type: 'text',
        value: 'state',
        repeated: true,
        says: 'Only in this state: queued, running, retrying, waiting, cancelling, succeeded, failed, cancelled, refused, continued.',
      },
      workflowFlag,
      {
        name: 'version',
        type: 'text',
        value: 'version',
        says: "Only of this version; '' for runs that are pinned to none.",
      },
      classFlag,
      { name: 'label', type: 'text', value: 'name:value', repeated: true, says: 'Only with this label.' },
      { name: 'oldest', type: 'truth', says: 'Oldest first.' },
      limit,
      ...overHttp,
    ],
    examples: ['eventspine runs list --state failed --class rate_limited'],
    load: runs.list,
  },
  {
    words: ['runs', 'show'],
    says: 'Shows a run: its state, steps, what it waits for, what can be retried, what needs a person.',
    parameters: [run],
    flags: overHttp,
    examples: ['eventspine runs show run_01h455vb4pex5vsknk084sn02q'],
    load: runs.show,
  },
  {
    words: ['why'],
    says: 'Says why: each inference of a run, what was asked of which model, what came of it, by which way and at what cost.',
    parameters: [run],
    flags: overHttp,
    examples: ['eventspine why run_01h455vb4pex5vsknk084sn02q'],
    load: runs.why,
  },
  {
    words: ['runs', 'export'],
    says: 'Prints the history of a run with everything that its body was given, as JSON, to be replayed on other code.',
    more: 'It holds the inputs and results of the run as they are: keep it like the data itself.',
    parameters: [run],
    flags: overHttp,
    examples: ['eventspine runs export run_01h455vb4pex5vsknk084sn02q'],
    load: runs.export,
  },
  {
    words: ['runs', 'watch'],
    says: 'Prints the events of a run as they happen, until it has ended.',
    more: 'Ends with 0 when the run succeeds and with 1 when it ends otherwise.',
    parameters: [run],
    flags: [
      {
        name: 'cursor',
        type: 'text',
        value: 'cursor',
        says: 'Begin after this event; `--json` prints the cursor of each.',
      },
      ...overHttp,
    ],
    examples: ['eventspine runs watch run_01h455vb4pex5vsknk084sn02q'],
    load: runs.watch,
  },
  {
    words: ['runs', 'cancel'],
    says: 'Asks runs to stop; their bodies may clean up for a while.',
    parameters: [runsParameter],
    flags: [{ name: 'reason', type: 'text', value: 'text', says: 'Why, for the record.' }, ...overHttp],
    examples: ["eventspine runs cancel run_01h455vb4pex5vsknk084sn02q --reason 'wrong file'"],
    load: runs.cancel,
  },
  {
    words: ['runs', 'retry'],
    says: 'Sends failed or cancelled runs back to work from what failed; finished steps are not repeated.',
    parameters: [runsParameter],
    flags: overHttp,
    examples: ['eventspine runs retry run_01h455vb4pex5vsknk084sn02q'],
    load: runs.retry,
  },
  {
    words: ['runs', 'signal'],
    says: 'Sends a signal to a run, which keeps it until it waits for it.',
    parameters: [
      run,
      { name: 'signal', says: 'Name of the signal.', required: true },
      { name: 'data', says: 'What comes with it: JSON, @file, or - for the standard input.', required: false },
    ],
    flags: [
      {
        name: 'id',
        type: 'text',
        value: 'id',
        says: 'Id of the signal: a second one of the same id is the same signal. Default: a new one.',
      },
      ...overHttp,
    ],
    examples: [`eventspine runs signal run_01h455vb4pex5vsknk084sn02q paid '{"amount":3}'`],
    load: async () => (await import('./commands/approvals.js')).signalRun,
  },
  {
    words: ['agents', 'list'],
    says: 'Lists the keys of an agent that have had messages.',
    parameters: [agentName],
    flags: [limit, ...overHttp],
    examples: ['eventspine agents list researcher'],
    load: async () => (await import('./commands/agents.js')).listAgents,
  },
  {
    words: ['agents', 'show'],
    says: 'Shows what a key of an agent is at: its state, its mailbox and its run.',
    parameters: [agentName, agentKey],
    flags: overHttp,
    examples: ['eventspine agents show researcher user-17'],
    load: async () => (await import('./commands/agents.js')).showAgent,
  },
  {
    words: ['agents', 'tell'],
    says: 'Sends a message to the agent of a key.',
    parameters: [agentName, agentKey, ...messageWords],
    flags: [
      {
        name: 'id',
        type: 'text',
        value: 'id',
        says: 'A second message of the same id is the same message. Default: made up.',
      },
      ...overHttp,
    ],
    examples: [`eventspine agents tell researcher user-17 note.added '{"text":"likes short answers"}'`],
    load: async () => (await import('./commands/agents.js')).tellAgent,
  },
  {
    words: ['agents', 'ask'],
    says: 'Sends a message to the agent of a key, and prints the answer.',
    parameters: [agentName, agentKey, ...messageWords],
    flags: [
      { name: 'timeout', type: 'text', value: 'duration', says: 'How long to wait for the answer. Default: 5m.' },
      ...overHttp,
    ],
    examples: [`eventspine agents ask researcher user-17 question '{"text":"which order?"}'`],
    load: async () => (await import('./commands/agents.js')).askAgent,
  },
  {
    words: ['approvals', 'list'],
    says: 'Lists open approvals, oldest first.',
    parameters: [],
    flags: [
      {
        name: 'to',
        type: 'text',
        value: 'address',
        repeated: true,
        says: 'Only those put to this address, role:<name> or user:<name>. Default: what you may decide.',
      },
      limit,
      ...overHttp,
    ],
    examples: ['eventspine approvals list --to role:editor'],
    load: async () => (await import('./commands/approvals.js')).listApprovals,
  },
  {
    words: ['approvals', 'show'],
    says: 'Shows an approval: what is asked, of whom, and what was said.',
    parameters: [approval],
    flags: overHttp,
    examples: ['eventspine approvals show run_01h455vb4pex5vsknk084sn02q.7'],
    load: async () => (await import('./commands/approvals.js')).showApproval,
  },
  {
    words: ['approvals', 'approve'],
    says: 'Approves. The first word counts.',
    parameters: [approval],
    flags: [
      {
        name: 'form',
        type: 'text',
        value: 'json',
        says: 'What the form asks for: JSON, @file, or - for the standard input.',
      },
      commentFlag,
      ...inNameOf,
      ...overHttp,
    ],
    examples: [`eventspine approvals approve run_01h455vb4pex5vsknk084sn02q.7 --form '{"text":"mended"}'`],
    load: async () => (await import('./commands/approvals.js')).approve,
  },
  {
    words: ['approvals', 'reject'],
    says: 'Rejects. The first word counts.',
    parameters: [approval],
    flags: [commentFlag, ...inNameOf, ...overHttp],
    examples: ["eventspine approvals reject run_01h455vb4pex5vsknk084sn02q.7 --comment 'not like this'"],
    load: async () => (await import('./commands/approvals.js')).reject,
  },
  {
    words: ['approvals', 'delegate'],
    says: 'Puts an approval to others instead.',
    parameters: [
      approval,
      { name: 'address', says: 'Who is to decide: role:<name> or user:<name>.', required: true, rest: true },
    ],
    flags: [...inNameOf, ...overHttp],
    examples: ['eventspine approvals delegate run_01h455vb4pex5vsknk084sn02q.7 user:ann'],
    load: async () => (await import('./commands/approvals.js')).delegate,
  },
  {
    words: ['approvals', 'comment'],
    says: 'Says something of an approval without deciding.',
    parameters: [approval, { name: 'text', says: 'What is said.', required: true }],
    flags: [...inNameOf, ...overHttp],
    examples: ["eventspine approvals comment run_01h455vb4pex5vsknk084sn02q.7 'who knows the figures?'"],
    load: async () => (await import('./commands/approvals.js')).comment,
  },
  {
    words: ['runs', 'migrate'],
    says: 'Moves runs to another version of their workflow, which a deployed build has.',
    more: 'The body of a run is taken from the worker that has it and begins anew in the new version: it takes what is recorded under the names it asks for, and leaves the rest aside. Look with `eventspine check --as` first. A run that has failed is retried first, and migrated then.',
    parameters: [runsParameter],
    flags: [
      { name: 'to', type: 'text', value: 'version', says: 'The version.' },
      { name: 'unversioned', type: 'truth', says: 'Instead of --to: pin the runs to no version.' },
      ...overHttp,
    ],
    examples: ['eventspine runs migrate run_01h455vb4pex5vsknk084sn02q --to 4'],
    load: runs.migrate,
  },
  {
    words: ['dead-letters', 'list'],
    says: 'Lists what ran out of attempts, newest first.',
    parameters: [],
    flags: [...letterFilterFlags, limit, ...overHttp],
    examples: [
      'eventspine dead-letters list --class auth',
      `eventspine dead-letters list --since 2h --text 'no such customer'`,
    ],
    load: async () => (await import('./commands/dead-letters.js')).listDeadLetters,
  },
  {
    words: ['dead-letters', 'show'],
    says: 'Shows a dead letter: why it died, what to do about it, and the trail of what was tried.',
    parameters: [letter],
    flags: overHttp,
    examples: ['eventspine dead-letters show dlq_01h455vb4pex5vsknk084sn02q'],
    load: async () => (await import('./commands/dead-letters.js')).showDeadLetter,
  },
  {
    words: ['dead-letters', 'redrive'],
    says: 'Sends the runs of dead letters back to work from what failed.',
    more: 'Those of the ids given; or, without ids, all that the flags mean now, at a bounded rate: the server goes on with it by itself, whatever dies meanwhile. Finished steps are not repeated.',
    parameters: [{ ...letters, required: false }],
    flags: [
      ...letterFilterFlags,
      { name: 'all', type: 'truth', says: 'All dead letters.' },
      { name: 'rate', type: 'text', value: 'rate', says: 'At most so many a second, like 50/s. Default 20/s.' },
      { name: 'dry-run', type: 'truth', says: 'Only say how many it would be.' },
      reasonFlag,
      ...overHttp,
    ],
    examples: [
      'eventspine dead-letters redrive dlq_01h455vb4pex5vsknk084sn02q',
      `eventspine dead-letters redrive --class overloaded --since 2h --rate 50/s --reason 'the provider is back'`,
    ],
    load: async () => (await import('./commands/dead-letters.js')).redriveDeadLetters,
  },
  {
    words: ['dead-letters', 'edit'],
    says: 'Gives what failed another input and sends its run back to work with it.',
    parameters: [
      letter,
      { name: 'input', says: 'The input as JSON, @file, or - for the standard input.', required: true },
    ],
    flags: [reasonFlag, ...overHttp],
    examples: [
      `eventspine dead-letters edit dlq_01h455vb4pex5vsknk084sn02q '{"id":"c_42"}' --reason 'the id was mistyped'`,
    ],
    load: async () => (await import('./commands/dead-letters.js')).editDeadLetter,
  },
  {
    words: ['dead-letters', 'correct'],
    says: 'Says which class the failure of a dead letter really has.',
    more: 'The correction is an event of the topic eventspine.corrections, and an example to train triage with. The letter itself stays as it is.',
    parameters: [letter],
    flags: [{ name: 'label', type: 'text', value: 'class', says: 'The class that it has.' }, reasonFlag, ...overHttp],
    examples: ['eventspine dead-letters correct dlq_01h455vb4pex5vsknk084sn02q --label quota_exhausted'],
    load: async () => (await import('./commands/dead-letters.js')).correctDeadLetter,
  },
  {
    words: ['dead-letters', 'corrections'],
    says: 'Prints all corrections as JSON lines, in the form that triage is trained with.',
    parameters: [],
    flags: overHttp,
    examples: ['eventspine dead-letters corrections'],
    load: async () => (await import('./commands/dead-letters.js')).exportCorrections,
  },
  {
    words: ['redrives', 'list'],
    says: 'Lists redrives of many that are under way or have ended in the last days.',
    parameters: [],
    flags: overHttp,
    examples: ['eventspine redrives list'],
    load: async () => (await import('./commands/dead-letters.js')).listRedrives,
  },
  {
    words: ['redrives', 'show'],
    says: 'Shows how far a redrive of many is, and what was refused.',
    parameters: [redriveParameter],
    flags: overHttp,
    examples: ['eventspine redrives show rdv_01h455vb4pex5vsknk084sn02q'],
    load: async () => (await import('./commands/dead-letters.js')).showRedrive,
  },
  {
    words: ['redrives', 'cancel'],
    says: 'Lets a redrive of many take no further dead letters. What was sent back stays so.',
    parameters: [redriveParameter],
    flags: overHttp,
    examples: ['eventspine redrives cancel rdv_01h455vb4pex5vsknk084sn02q'],
    load: async () => (await import('./commands/dead-letters.js')).cancelRedrive,
  },
  {
    words: ['dead-letters', 'discard'],
    says: 'Gives up on dead letters; their runs stay failed.',
    parameters: [letters],
    flags: overHttp,
    examples: ['eventspine dead-letters discard dlq_01h455vb4pex5vsknk084sn02q'],
    load: async () => (await import('./commands/dead-letters.js')).discardDeadLetters,
  },
  {
    words: ['dead-events', 'list'],
    says: 'Lists events that were given up on and that no run stands for, oldest first.',
    parameters: [],
    flags: [...deadEventFlags, limit, ...overHttp],
    examples: ['eventspine dead-events list', 'eventspine dead-events list --source subscription:audit'],
    load: async () => (await import('./commands/dead-events.js')).listDeadEvents,
  },
  {
    words: ['dead-events', 'show'],
    says: 'Shows a dead event: whose it was, why it was given up on, and its data as it came.',
    parameters: [deadEvent],
    flags: overHttp,
    examples: ['eventspine dead-events show dev_01h455vb4pex5vsknk084sn02q'],
    load: async () => (await import('./commands/dead-events.js')).showDeadEvent,
  },
  {
    words: ['dead-events', 'redrive'],
    says: 'Sends dead events back to where they came from.',
    more: 'Those of the ids given; or, without ids, all that are there now and that the flags mean. One of a subscription is delivered again, with its deliveries counted anew; one of a bridge is taken in again.',
    parameters: [deadEventsMeant],
    flags: [...deadEventFlags, { name: 'all', type: 'truth', says: 'All dead events.' }, reasonFlag, ...overHttp],
    examples: [
      'eventspine dead-events redrive dev_01h455vb4pex5vsknk084sn02q',
      `eventspine dead-events redrive --source subscription:audit --reason 'the consumer is mended'`,
    ],
    load: async () => (await import('./commands/dead-events.js')).redriveDeadEvents,
  },
  {
    words: ['dead-events', 'discard'],
    says: 'Gives dead events up for good.',
    parameters: [deadEventsMeant],
    flags: [...deadEventFlags, { name: 'all', type: 'truth', says: 'All dead events.' }, reasonFlag, ...overHttp],
    examples: ['eventspine dead-events discard dev_01h455vb4pex5vsknk084sn02q'],
    load: async () => (await import('./commands/dead-events.js')).discardDeadEvents,
  },
  {
    words: ['subscriptions', 'pause'],
    says: 'Lets a subscription begin nothing until it is resumed; what is under way goes on.',
    parameters: [subscriptionParameter],
    flags: [reasonFlag, ...overHttp],
    examples: ["eventspine subscriptions pause reviews --reason 'the model is down'"],
    load: async () => (await import('./commands/subscriptions.js')).pauseSubscription,
  },
  {
    words: ['subscriptions', 'resume'],
    says: 'Lets a paused subscription go on from where it was.',
    parameters: [subscriptionParameter],
    flags: overHttp,
    examples: ['eventspine subscriptions resume reviews'],
    load: async () => (await import('./commands/subscriptions.js')).resumeSubscription,
  },
  {
    words: ['subscriptions', 'seek'],
    says: 'Sets the cursors of a subscription to another place.',
    more: 'What lies behind the place begins anew, what lies before it is left out. What is under way goes on, and a later event of its key waits for it.',
    parameters: [
      subscriptionParameter,
      {
        name: 'to',
        required: true,
        says: '`oldest`, `newest`, an offset, or an instant such as 2026-01-31T09:00:00Z.',
      },
    ],
    flags: [{ name: 'partition', type: 'number', value: 'n', says: 'Only this partition. Default: all.' }, ...overHttp],
    examples: [
      'eventspine subscriptions seek reviews oldest',
      'eventspine subscriptions seek reviews 1200 --partition 3',
    ],
    load: async () => (await import('./commands/subscriptions.js')).seekSubscription,
  },
  {
    words: ['subscriptions', 'replay'],
    says: 'Sends events that were through a group of their own.',
    more: 'Another subscription is made with the filter and the order of this one, which begins at the place and ends where the topic ends now. The subscription itself goes on as it was.',
    parameters: [subscriptionParameter],
    flags: [
      {
        name: 'from',
        type: 'text',
        value: 'place',
        says: '`oldest`, an offset, or an instant such as 2026-01-31T09:00:00Z. Default: oldest.',
      },
      {
        name: 'into',
        type: 'text',
        value: 'workflow',
        says: 'What handles the events. Default: what handles those of the subscription.',
      },
      { name: 'name', type: 'text', value: 'name', says: 'Name of the subscription that is made. Default: a new one.' },
      { name: 'dry-run', type: 'truth', says: 'Only say what would be replayed.' },
      ...overHttp,
    ],
    examples: [
      'eventspine subscriptions replay reviews --from 2026-01-31T09:00:00Z --dry-run',
      'eventspine subscriptions replay reviews --from oldest --into review-again',
    ],
    load: async () => (await import('./commands/subscriptions.js')).replaySubscription,
  },
  {
    words: ['schedules', 'list'],
    says: 'Lists schedules with their next tick and what became of the last one.',
    parameters: [],
    flags: [limit, ...overHttp],
    examples: ['eventspine schedules list'],
    load: schedules.list,
  },
  {
    words: ['schedules', 'show'],
    says: 'Shows a schedule: when it starts what, its next ticks, and what became of the last ones.',
    parameters: [scheduleParameter],
    flags: overHttp,
    examples: ['eventspine schedules show nightly'],
    load: schedules.show,
  },
  {
    words: ['schedules', 'put'],
    says: 'Adds a schedule or replaces its definition.',
    more: 'Give --cron or --every. A schedule that an app defines is changed in the code of the app.',
    parameters: [
      scheduleParameter,
      { name: 'workflow', says: 'Name of the workflow that it starts.', required: true },
      {
        name: 'input',
        says: 'Input of each run as JSON, @file, or - for the standard input. Default: null.',
        required: false,
      },
    ],
    flags: [
      {
        name: 'cron',
        type: 'text',
        value: 'fields',
        says: 'Minute, hour, day of the month, month, weekday; or six fields, with the seconds first; or @daily and the like.',
      },
      { name: 'zone', type: 'text', value: 'name', says: 'Time zone of --cron, e.g. Europe/Berlin. Default UTC.' },
      { name: 'every', type: 'text', value: 'time', says: 'Every so often, e.g. 15m, counted from 1970 in UTC.' },
      {
        name: 'catch-up',
        type: 'text',
        value: 'policy',
        says: 'Ticks missed while no server was there: none, one (the latest; the default) or all.',
      },
      { name: 'catch-up-max', type: 'number', value: 'n', says: 'With --catch-up all: at most so many. Default 100.' },
      { name: 'jitter', type: 'text', value: 'time', says: 'Start each run up to so much later. Default 0.' },
      {
        name: 'overlap',
        type: 'text',
        value: 'policy',
        says: 'A tick while an earlier run goes on: skip (the default), allow, queue or cancel.',
      },
      { name: 'queue-max', type: 'number', value: 'n', says: 'With --overlap queue: at most so many. Default 1.' },
      { name: 'label', type: 'text', value: 'name:value', repeated: true, says: 'Label of each run.' },
      { name: 'priority', type: 'number', value: 'n', says: 'Priority of each run. Default: that of the workflow.' },
      ...overHttp,
    ],
    examples: [
      `eventspine schedules put nightly report '{"days":1}' --cron '0 3 * * *' --zone Europe/Berlin`,
      'eventspine schedules put sync pull --every 15m --overlap queue',
    ],
    load: schedules.put,
  },
  {
    words: ['schedules', 'pause'],
    says: 'Lets a schedule start nothing until it is resumed; ticks of that time are not made up for.',
    parameters: [scheduleParameter],
    flags: [{ name: 'reason', type: 'text', value: 'text', says: 'Why, for the record.' }, ...overHttp],
    examples: ["eventspine schedules pause nightly --reason 'the source is down'"],
    load: schedules.pause,
  },
  {
    words: ['schedules', 'resume'],
    says: 'Lets a paused schedule tick again, from now on.',
    parameters: [scheduleParameter],
    flags: overHttp,
    examples: ['eventspine schedules resume nightly'],
    load: schedules.resume,
  },
  {
    words: ['schedules', 'trigger'],
    says: 'Starts a run of a schedule now, whatever its ticks do.',
    parameters: [scheduleParameter],
    flags: [
      { name: 'key', type: 'text', value: 'key', says: 'Idempotency key: the same key gives the same run.' },
      ...overHttp,
    ],
    examples: ['eventspine schedules trigger nightly'],
    load: schedules.trigger,
  },
  {
    words: ['schedules', 'delete'],
    says: 'Removes a schedule; runs that it has started go on.',
    parameters: [scheduleParameter],
    flags: overHttp,
    examples: ['eventspine schedules delete nightly'],
    load: schedules.remove,
  },
  {
    words: ['queues'],
    says: 'Shows depth, lag and workers of every queue.',
    parameters: [],
    flags: overHttp,
    examples: ['eventspine queues'],
    load: async () => (await import('./commands/fleet.js')).listQueues,
  },
  {
    words: ['workers'],
    says: 'Shows the workers and what they hold.',
    parameters: [],
    flags: overHttp,
    examples: ['eventspine workers'],
    load: async () => (await import('./commands/fleet.js')).listWorkers,
  },
  {
    words: ['models'],
    says: 'Shows the models of the apps, how new runs are shared between their versions, and which endpoints are shut.',
    parameters: [],
    flags: overHttp,
    examples: ['eventspine models'],
    load: modelCommands.list,
  },
  {
    words: ['models', 'show'],
    says: 'Shows a model with its versions.',
    parameters: [modelParameter],
    flags: overHttp,
    examples: ['eventspine models show writer'],
    load: modelCommands.show,
  },
  {
    words: ['models', 'weights'],
    says: 'Shares new runs between versions of a model. Runs that have asked a version stay with it.',
    parameters: [modelParameter, { name: 'weight', says: 'Versions with their weights.', required: true, rest: true }],
    flags: overHttp,
    examples: ['eventspine models weights writer v1=90 v2=10'],
    load: modelCommands.weights,
  },
  {
    words: ['models', 'promote'],
    says: 'Lets all new runs ask one version of a model.',
    parameters: [modelParameter, versionParameter],
    flags: overHttp,
    examples: ['eventspine models promote writer v2'],
    load: modelCommands.promote,
  },
  {
    words: ['models', 'shadow'],
    says: 'Asks a version of a model beside those that answer, to see how it would do. Nobody gets its answers.',
    parameters: [modelParameter, { ...versionParameter, required: false }],
    flags: [
      { name: 'share', type: 'fraction', value: 'n', says: 'Of the inferences, above 0 and up to 1. Default 0.1.' },
      { name: 'concurrency', type: 'number', value: 'n', says: 'Calls under way at one time. Default 2.' },
      {
        name: 'per-day',
        type: 'fraction',
        value: 'amount',
        says: 'What its calls of a day (UTC) may cost, in the currency of prices. Default: there is no bound.',
      },
      { name: 'off', type: 'truth', says: 'Asks none from now on.' },
      ...overHttp,
    ],
    examples: [
      'eventspine models shadow writer v2 --share 0.1 --concurrency 2 --per-day 5',
      'eventspine models shadow writer --off',
    ],
    load: modelCommands.shadow,
  },
  {
    words: ['models', 'rollback'],
    says: 'Takes the last change of a model back.',
    parameters: [modelParameter],
    flags: overHttp,
    examples: ['eventspine models rollback writer'],
    load: modelCommands.rollback,
  },
  {
    words: ['models', 'reset'],
    says: 'Lets the weights that the app declares hold again.',
    parameters: [modelParameter],
    flags: overHttp,
    examples: ['eventspine models reset writer'],
    load: modelCommands.reset,
  },
  {
    words: ['models', 'close-breaker'],
    says: 'Lets the endpoint of a version be called again at once.',
    parameters: [modelParameter, versionParameter],
    flags: overHttp,
    examples: ['eventspine models close-breaker writer v2'],
    load: modelCommands.closeBreaker,
  },
  {
    words: ['models', 'report'],
    says: 'Shows how the versions of a model do against one of them, and how its shadow does beside them.',
    parameters: [modelParameter],
    flags: [
      { name: 'against', type: 'text', value: 'version', says: 'Version to compare with. Default: the first.' },
      { name: 'alpha', type: 'fraction', value: 'n', says: 'How often at most it may be wrong. Default 0.05.' },
      ...overHttp,
    ],
    examples: ['eventspine models report writer', 'eventspine models report writer --against v1'],
    load: modelCommands.report,
  },
  {
    words: ['cache', 'stats'],
    says: 'Shows the answers of models that are kept to serve again.',
    parameters: [],
    flags: overHttp,
    examples: ['eventspine cache stats'],
    load: cache.stats,
  },
  {
    words: ['cache', 'clear'],
    says: 'Drops answers that are kept; what is kept from then on stays.',
    parameters: [],
    flags: [{ name: 'model', type: 'text', value: 'name', says: 'Only those of this model.' }, ...overHttp],
    examples: ['eventspine cache clear', 'eventspine cache clear --model writer'],
    load: cache.clear,
  },
  {
    words: ['triage', 'report'],
    says: 'Shows what failures are classified by, and how the model in the shadow differs from it.',
    parameters: [],
    flags: overHttp,
    examples: ['eventspine triage report'],
    load: async () => (await import('./commands/triage.js')).reportTriage,
  },
  {
    words: ['triage', 'shadow'],
    says: 'Asks a model of triage beside the one in force. Its verdicts are recorded, and decide nothing.',
    parameters: [{ name: 'file', says: 'The model, as `npm run triage -- train --out` writes it.', required: false }],
    flags: [{ name: 'off', type: 'truth', says: 'Asks none from now on.' }, ...overHttp],
    examples: ['eventspine triage shadow triage-2.json', 'eventspine triage shadow --off'],
    load: async () => (await import('./commands/triage.js')).setTriageShadow,
  },
  {
    words: ['triage', 'promote'],
    says: 'Lets failures be classified by the model in the shadow from now on.',
    parameters: [],
    flags: overHttp,
    examples: ['eventspine triage promote'],
    load: async () => (await import('./commands/triage.js')).promoteTriage,
  },
  {
    words: ['triage', 'rollback'],
    says: 'Takes the last promotion of a model of triage back.',
    parameters: [],
    flags: overHttp,
    examples: ['eventspine triage rollback'],
    load: async () => (await import('./commands/triage.js')).rollBackTriage,
  },
  {
    words: ['limits'],
    says: 'Shows the limits in force and how full they are.',
    parameters: [],
    flags: overHttp,
    examples: ['eventspine limits'],
    load: limitCommands.list,
  },
  {
    words: ['limits', 'show'],
    says: 'Shows a limit with its counters.',
    parameters: [limitParameter],
    flags: overHttp,
    examples: ['eventspine limits show spend'],
    load: limitCommands.show,
  },
  {
    words: ['limits', 'set'],
    says: 'Sets a limit in place of what apps declare. What it makes room for goes on.',
    parameters: [
      limitParameter,
      { name: 'options', says: 'The limit as JSON, as in code; `@file`, or `-` for standard input.', required: true },
    ],
    flags: overHttp,
    examples: [
      `eventspine limits set spend '{"budget":{"amount":50,"per":"day"},"by":["tenant"],"scope":"inferences"}'`,
      `eventspine limits set gpu '{"concurrency":8}'`,
    ],
    load: limitCommands.set,
  },
  {
    words: ['limits', 'reset'],
    says: 'Lets what apps declare hold again.',
    parameters: [limitParameter],
    flags: overHttp,
    examples: ['eventspine limits reset spend'],
    load: limitCommands.reset,
  },
  {
    words: ['endpoints'],
    says: 'Shows the endpoints that tasks are sent to.',
    parameters: [],
    flags: overHttp,
    examples: ['eventspine endpoints'],
    load: async () => (await import('./commands/endpoints.js')).listEndpoints,
  },
  {
    words: ['endpoints', 'set'],
    says: 'Sends the tasks of an app to an endpoint from now on.',
    more: 'The endpoint is asked first what it serves. The same command with another address moves it.',
    parameters: [appName, { name: 'url', says: 'Address of the endpoint, https.', required: true }],
    flags: [
      { name: 'concurrency', type: 'number', value: 'n', says: 'Tasks sent at the same time. Default 10.' },
      { name: 'timeout', type: 'text', value: 'time', says: 'Longest time of one request. Default 60s.' },
      ...overHttp,
    ],
    examples: ['eventspine endpoints set thumbnails https://thumbnails.example.com/eventspine --concurrency 20'],
    load: async () => (await import('./commands/endpoints.js')).setEndpoint,
  },
  {
    words: ['endpoints', 'remove'],
    says: 'Sends an endpoint nothing more.',
    more: 'What it works on is waited for. Its definitions stay; workers of the app may serve them.',
    parameters: [appName],
    flags: overHttp,
    examples: ['eventspine endpoints remove thumbnails'],
    load: async () => (await import('./commands/endpoints.js')).removeEndpoint,
  },
  {
    words: ['endpoints', 'secret'],
    says: 'Prints the secret that the endpoint of an app needs.',
    parameters: [appName],
    flags: overHttp,
    examples: ['eventspine endpoints secret thumbnails'],
    load: async () => (await import('./commands/endpoints.js')).endpointSecret,
  },
  {
    words: ['topics'],
    says: 'Shows the topics that have events.',
    parameters: [],
    flags: overHttp,
    examples: ['eventspine topics'],
    load: async () => (await import('./commands/fleet.js')).listTopics,
  },
  {
    words: ['check'],
    says: 'Replays recorded runs on a new build, without any effect, and says what would break.',
    more: 'Without histories it looks at the unfinished runs of an installation. For each run: what the code asks for that is not recorded, what is recorded and no longer asked for (left aside, never fatal), what was renamed, changes its kind, or ends otherwise. Ends with 1 when a run would break.',
    parameters: [
      app,
      {
        name: 'history',
        says: 'Files as `runs export` prints them, one history or one a line; or folders of them.',
        required: false,
        rest: true,
      },
    ],
    flags: [
      workflowFlag,
      {
        name: 'as',
        type: 'text',
        value: 'version',
        says: 'Replay as if the runs had been migrated to this version.',
      },
      { name: 'as-unversioned', type: 'truth', says: 'The same, pinned to no version.' },
      { name: 'strict', type: 'truth', says: 'Fail for warnings, too.' },
      {
        name: 'schemas',
        type: 'text',
        value: 'file',
        says: 'Replay nothing: hold the topics of the app (or of a JSON file in its place) against this file, as `schemas` has printed it.',
      },
      {
        name: 'compatibility',
        type: 'text',
        value: 'mode',
        says: 'With --schemas: backward, forward, full or none, in the place of what the topics declare.',
      },
      { ...limit, says: 'Look at so many unfinished runs at most. Default 1000.' },
      ...overHttp,
    ],
    examples: [
      'eventspine check app.mjs --url https://spine.internal',
      'eventspine check app.mjs histories/',
      'eventspine check app.mjs run.json --as 4',
      'eventspine check --schemas schemas.json app.mjs',
    ],
    load: async () => (await import('./commands/check.js')).check,
  },
  {
    words: ['schemas'],
    says: 'Prints the topics of an app with the schemas of their data, as JSON.',
    more: 'Kept beside the code, it is what `check --schemas` holds the next build against.',
    parameters: [app],
    flags: [json],
    examples: ['eventspine schemas app.mjs'],
    load: async () => (await import('./commands/schemas.js')).printSchemas,
  },
  {
    words: ['deploy'],
    says: 'Registers the definitions of a build before its workers start, and refuses where unfinished runs would lose their code.',
    more: 'Shows what changes first. The definitions are in force as soon as a worker has them; workers that have older ones change nothing any more. Deploying an older build again is how to roll back. Ends with 1 when it is refused.',
    parameters: [app],
    flags: [
      { name: 'dry-run', type: 'truth', says: 'Only show what would happen.' },
      {
        name: 'leave-waiting',
        type: 'truth',
        says: 'Deploy all the same: unfinished runs that lose their version stay as they are and wait, visibly, for a worker that has it or for `runs migrate`.',
      },
      ...overHttp,
    ],
    examples: ['eventspine deploy app.mjs --dry-run', 'eventspine deploy app.mjs --url http://spine:8787'],
    load: async () => (await import('./commands/deploy.js')).deploy,
  },
  {
    words: ['doctor'],
    says: 'Checks the invariants of a live system, or of a file that no server has open.',
    more: 'Ends with 1 when one does not hold.',
    parameters: [],
    flags: [
      {
        name: 'store',
        type: 'text',
        value: 'store',
        says: 'Check this store itself: a SQLite file, only while no server has it open, or the URL of a PostgreSQL database.',
      },
      ...overHttp,
    ],
    examples: ['eventspine doctor', 'eventspine doctor --store spine.db'],
    load: async () => (await import('./commands/doctor.js')).doctor,
  },
  {
    words: ['migrate'],
    says: 'Moves everything of a SQLite store into an empty PostgreSQL database: for who outgrows one machine.',
    more: 'Stop the workers first (they finish what they hold and give the rest back), then the server. All or nothing: it is one transaction, in which every row is read back and compared before it is committed; when it fails or is interrupted, the target stays empty and the same may be run again. Runs in flight go on when a server is started on the new store. Sessions of workers do not move; a task that a worker still held counts as lost. Afterwards the file is marked, and no server opens it any more, unless `--keep` is given; it can be moved once more, into another empty database.',
    parameters: [],
    flags: [
      { name: 'from', type: 'text', value: 'file', says: 'The SQLite file. No server may have it open.' },
      {
        name: 'to',
        type: 'text',
        value: 'url',
        says: 'The PostgreSQL database, without a pooler between; tables are made where there are none.',
      },
      { name: 'keep', type: 'truth', says: 'Leave the file fit to be served, for a rehearsal. Never serve both.' },
      json,
    ],
    examples: ['eventspine migrate --from spine.db --to postgres://spine@db/spine'],
    load: async () => (await import('./commands/move.js')).migrate,
  },
  {
    words: ['backup'],
    says: 'Copies a SQLite store into a new file, while a server has it open or not.',
    more: 'The copy is the store as it was at one moment. Put it in the place of the file to restore it; it knows that it is a copy, and what was handed out after it was made is not handed out again. For PostgreSQL use its own tools.',
    parameters: [{ name: 'file', says: 'The copy; nothing may be there yet.', required: true }],
    flags: [{ name: 'store', type: 'text', value: 'store', says: 'The SQLite file to copy.' }, json],
    examples: ['eventspine backup --store spine.db backups/spine-monday.db'],
    load: async () => (await import('./commands/move.js')).backup,
  },
  {
    words: ['restored'],
    says: 'Says of a store that it was put back from a backup which cannot be told from the original.',
    more: 'Needed after a snapshot of a disk, a copy of files, a base backup or point-in-time recovery, before the first server is started; not after `eventspine backup` or a dump of PostgreSQL, which are recognised. The next opening ends all sessions and goes on with epochs, fencing tokens and feed positions above all that can have been given since the backup.',
    parameters: [],
    flags: [
      { name: 'store', type: 'text', value: 'store', says: 'SQLite file or URL of the PostgreSQL database.' },
      json,
    ],
    examples: ['eventspine restored --store /data/spine.db'],
    load: async () => (await import('./commands/move.js')).restored,
  },
  {
    words: ['classify'],
    says: 'Reads failures from the standard input, one JSON object a line, and prints what each is and what to do about it.',
    more: 'A line holds `text`, and where they are known `id`, `http_status` and `provider`. Printed are `id`, `label`, `remedy`, `retryable`, `confidence` (0 to 1), `reason` and `extract` (`retry_after_s`, `limit`, `used`, as far as the message states them), one JSON object a line, in the order of the input. A line that cannot be read is told on the standard error output with its number; the rest is still done, and the command ends with 1. Needs no server and no network.',
    parameters: [],
    flags: [json],
    examples: ['eventspine classify'],
    load: async () => (await import('./commands/classify.js')).classifyLines,
  },
  {
    words: ['explain'],
    says: 'Explains an error code and says what to do about it; without a code, lists all.',
    parameters: [{ name: 'code', says: 'The code, e.g. LEASE_LOST.', required: false }],
    flags: [json],
    examples: ['eventspine explain STORE_OWNED'],
    load: async () => (await import('./commands/explain.js')).explainCode,
  },
  {
    words: ['version'],
    says: 'Prints the version.',
    parameters: [],
    flags: [json],
    examples: ['eventspine version'],
    load: async () => (await import('./commands/explain.js')).printVersion,
  },
  {
    words: ['help'],
    says: 'Shows all commands, or one of them.',
    parameters: [{ name: 'command', says: 'The command.', required: false, rest: true }],
    flags: [],
    examples: ['eventspine help runs list'],
    load: () => Promise.reject(new Error("Invariant broken: help is shown by the parser's answer")),
  },
];
