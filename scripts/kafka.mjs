/**
 * A real Kafka for tests and trials: one broker that is its own controller, from the jars of Maven Central (fetched once into
 * the cache) and the Java of the system. Says why there is none where there is none. Nothing is installed.
 *
 *     npm run kafka:up                     one at 127.0.0.1:9092, with topics that are gone after Ctrl-C
 *     npm run kafka:up -- --port 19092 --data ./kafka-data
 *
 * Invariant: the process has ended after `stop`, and the data folder is gone unless it was given.
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cached } from './cache.mjs';

export const kafkaVersion = '4.2.0';
const scalaVersion = '2.13';
const logVersion = '2.24.3';
const javaMin = 17;
const fetchMsMax = 240_000;
const startMsMax = 60_000;
const stopMsMax = 20_000;

/** Folder of the jars, broker and tools; throws with the reason where it cannot be had. */
export function kafkaJars() {
  requireJava();
  const folder = cached(`kafka-${kafkaVersion}`, (making) => {
    writeFileSync(join(making, 'pom.xml'), pom());
    const fetched = spawnSync(
      'mvn',
      ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=lib'],
      { cwd: making, timeout: fetchMsMax, encoding: 'utf8' },
    );
    if (fetched.error !== undefined) throw new Error('there is no Maven (mvn) on this system');
    if (fetched.status !== 0) throw new Error(`Kafka ${kafkaVersion} could not be fetched from Maven Central`);
  });
  return join(folder, 'lib');
}

/** Runs a program of the jars to its end: `{ status, stdout, stderr }`. */
export function runKafkaTool(jars, main, args, { input, env = {}, msMax = 60_000 } = {}) {
  return spawnSync('java', ['-XX:TieredStopAtLevel=1', '-cp', join(jars, '*'), main, ...args], {
    encoding: 'utf8',
    timeout: msMax,
    input,
    env: { ...process.env, ...env },
  });
}

/**
 * Starts a broker. `port` null = a free one; `data` null = a folder that is gone afterwards; `properties` are lines of
 * server.properties that come after ours and win; `listeners` are further ones, as `{ NAME: { port, protocol } }`, with
 * `advertisedPort` where clients are to come by another way; `scram` are arguments of `kafka-storage format --add-scram`. Resolves to
 * `{ brokers, version, source, jars, folder, kill, start, stop, log }`; rejects with the reason.
 */
export async function startKafka({ port = null, data = null, properties = {}, listeners = {}, scram = [] } = {}) {
  const jars = kafkaJars();
  const folder = data ?? mkdtempSync(join(tmpdir(), 'eventspine-kafka-'));
  mkdirSync(folder, { recursive: true });
  const broker = port ?? (await freePort());
  const controller = await freePort();
  const file = join(folder, 'server.properties');
  writeFileSync(file, propertiesText(serverProperties(folder, broker, controller, listeners, properties)));
  if (!existsSync(join(folder, 'log', 'meta.properties'))) format(jars, file, scram);
  const log = join(folder, 'kafka.log');
  let child = null;
  const server = {
    brokers: `127.0.0.1:${broker}`,
    version: kafkaVersion,
    source: `Maven Central (Kafka ${kafkaVersion})`,
    jars,
    folder,
    log: () => (existsSync(log) ? readFileSync(log, 'utf8') : ''),
    /** Starts it again with the data that it has. */
    start: async () => {
      child = spawnBroker(jars, file, log);
      await untilOpen(broker, child, server.log);
    },
    /** As a power cut ends it, the operating system excepted. */
    kill: async () => end(child, 'SIGKILL'),
    stop: async () => {
      await end(child, 'SIGTERM');
      if (data === null) rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await server.start();
  } catch (error) {
    await end(child, 'SIGKILL');
    if (data === null) rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return server;
}

/** The brokers of KAFKA_BROKERS, else one of our own, made with `options`; `{ brokers: null, reason }` where there is neither. */
export async function findKafka(options = {}) {
  const given = process.env['KAFKA_BROKERS'];
  if (given !== undefined && given !== '')
    return { brokers: given, version: 'unknown', source: 'KAFKA_BROKERS', own: false, stop: async () => undefined };
  try {
    return Object.assign(await startKafka(options), { own: true });
  } catch (error) {
    return { brokers: null, reason: error.message };
  }
}

function serverProperties(folder, port, controller, listeners, properties) {
  const names = Object.entries(listeners);
  const placesBy = (portOf) =>
    [`PLAINTEXT://127.0.0.1:${port}`, ...names.map(([name, one]) => `${name}://127.0.0.1:${portOf(one)}`)].join(',');
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    listeners: `${placesBy((one) => one.port)},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': placesBy((one) => one.advertisedPort ?? one.port),
    'listener.security.protocol.map': [
      'PLAINTEXT:PLAINTEXT',
      'CONTROLLER:PLAINTEXT',
      ...names.map(([name, one]) => `${name}:${one.protocol}`),
    ].join(','),
    'inter.broker.listener.name': 'PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': join(folder, 'log'),
    'num.partitions': '4',
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // Tests let members die, and do not want to wait for it.
    'group.min.session.timeout.ms': '1000',
    'group.consumer.min.heartbeat.interval.ms': '200',
    'group.consumer.heartbeat.interval.ms': '300',
    'group.consumer.min.session.timeout.ms': '1000',
    'group.consumer.session.timeout.ms': '1500',
    ...properties,
  };
}

function format(jars, file, scram) {
  const { stdout } = runKafkaTool(jars, 'kafka.tools.StorageTool', ['random-uuid']);
  const id = (stdout ?? '').trim().split('\n').at(-1);
  const formatted = runKafkaTool(jars, 'kafka.tools.StorageTool', [
    'format',
    '-t',
    id,
    '-c',
    file,
    ...scram.flatMap((record) => ['--add-scram', record]),
  ]);
  if (formatted.status !== 0) throw new Error(`the folder of Kafka could not be formatted: ${lastLine(formatted)}`);
}

function spawnBroker(jars, file, log) {
  const out = openSync(log, 'a');
  // Small and quick to start: a broker of tests lives for a minute.
  const child = spawn('java', ['-Xmx384m', '-XX:TieredStopAtLevel=1', '-cp', join(jars, '*'), 'kafka.Kafka', file], {
    stdio: ['ignore', out, out],
  });
  closeSync(out);
  // Whoever is ended half-way leaves no broker behind.
  const atExit = () => child.kill('SIGKILL');
  process.once('exit', atExit);
  child.once('exit', () => process.off('exit', atExit));
  return child;
}

/** Resolves when the port answers; the broker opens it when it has joined its quorum. */
async function untilOpen(port, child, log) {
  const until = performance.now() + startMsMax;
  while (!(await isOpen(port))) {
    if (child.exitCode !== null) throw new Error(`Kafka ended while it started: ${log().trim().split('\n').at(-1)}`);
    if (performance.now() > until) throw new Error('Kafka did not start in time');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function end(child, signal) {
  if (child === null || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
  await ended;
  clearTimeout(timer);
}

function isOpen(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** Below the ports that systems give to outgoing connections, since the broker comes again at the same place. */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const free = await new Promise((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

function requireJava() {
  const { error, stderr } = spawnSync('java', ['-version'], { encoding: 'utf8' });
  if (error !== undefined) throw new Error('there is no Java on this system');
  const major = Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0);
  if (major < javaMin) throw new Error(`Kafka ${kafkaVersion} needs Java ${javaMin}, and this is ${major}`);
}

function propertiesText(properties) {
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

function lastLine({ stdout, stderr }) {
  return `${stdout ?? ''}${stderr ?? ''}`.trim().split('\n').at(-1);
}

/** Broker and tools; the tools without Kafka Connect, which would bring a web server. */
function pom() {
  const dependency = (group, artifact, version, exclusions = '') =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version>${exclusions}</dependency>`;
  const noConnect =
    '<exclusions><exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId></exclusion></exclusions>';
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>eventspine</groupId><artifactId>kafka-for-tests</artifactId><version>1</version>
  <dependencies>
    ${dependency('org.apache.kafka', `kafka_${scalaVersion}`, kafkaVersion)}
    ${dependency('org.apache.kafka', 'kafka-tools', kafkaVersion, noConnect)}
    ${dependency('org.apache.logging.log4j', 'log4j-slf4j-impl', logVersion)}
    ${dependency('org.apache.logging.log4j', 'log4j-core', logVersion)}
  </dependencies>
</project>
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await up(process.argv.slice(2));

async function up(args) {
  const value = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
  try {
    const server = await startKafka({ port: Number(value('--port') ?? 9092), data: value('--data') ?? null });
    console.log(`Kafka ${server.version} at ${server.brokers}; data in ${server.folder}. Ctrl-C ends it.`);
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void server.stop());
  } catch (error) {
    console.error(`No Kafka: ${error.message}.`);
    process.exitCode = 1;
  }
}
