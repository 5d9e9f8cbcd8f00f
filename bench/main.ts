/** `npm run bench -- <question> [key=value ...]`: runs one benchmark; without a question, lists them. */
const questions: Readonly<Record<string, { readonly file: string; readonly asks: string }>> = {
  store: { file: './store.ts', asks: 'how many transitions a second the embedded store commits' },
  intake: {
    file: './intake.ts',
    asks: 'what HTTP intake with a durable commit costs beside an empty node:http server',
  },
  auth: { file: './auth.ts', asks: 'what it costs to know who asks: tokens, API keys, permissions, JWT' },
  'webhooks-in': { file: './webhooks-in.ts', asks: 'what it costs to take a signed webhook beside a plain event' },
  'webhooks-out': {
    file: './webhooks-out.ts',
    asks: 'how many webhooks a second one server delivers, beside a loop of fetch',
  },
  bus: { file: './bus.ts', asks: 'what publishing and consuming cost beside raw Kafka, NATS and BullMQ' },
  'topics-idle': { file: './topics-idle.ts', asks: 'what a thousand topics with a hundred groups cost at rest' },
  peers: { file: './peers/main.ts', asks: 'how Eventspine compares with its peers, side by side' },
  streams: { file: './streams.ts', asks: 'what 10,000 SSE clients cost' },
  servers: { file: './servers.ts', asks: 'what two and four servers over one PostgreSQL bring' },
  soak: { file: './soak.ts', asks: 'whether a PostgreSQL under steady load stays as small as it was' },
  idle: { file: './idle.ts', asks: 'what idle workers and tenants ask of a PostgreSQL' },
  reach: {
    file: './reach.ts',
    asks: 'how long a start takes to reach a worker of the same server, and of another',
  },
  admission: { file: './admission.ts', asks: 'what limits cost: checks a second, and calls with and without them' },
  agents: { file: './agents.ts', asks: 'what 100,000 agents with one message each cost, and what they cost asleep' },
  forms: {
    file: './forms.ts',
    asks: 'what very long runs, wide maps, many children and a hundred thousand sleepers cost',
  },
  infer: { file: './infer.ts', asks: 'what ctx.infer without limits costs beside ctx.step' },
  batches: { file: './batches.ts', asks: 'what it brings to put small calls together' },
  graph: { file: './graph.ts', asks: 'what a map of ten thousand items costs in a graph' },
  redaction: { file: './redaction.ts', asks: 'what it costs to hide tagged fields, and where there are none' },
  backlog: { file: './backlog.ts', asks: 'whether a backlog of a million runs slows the queue down' },
};

const [question, ...rest] = process.argv.slice(2);
const found = question === undefined ? undefined : questions[question];
if (found === undefined) {
  for (const [name, { asks }] of Object.entries(questions)) console.log(`${name.padEnd(8)} ${asks}`);
  process.exitCode = question === undefined ? 0 : 2;
} else {
  process.argv = [process.argv[0] ?? '', process.argv[1] ?? '', ...rest];
  await import(found.file);
}
