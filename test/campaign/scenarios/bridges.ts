/**
 * A bridge in and a bridge out over a real Kafka, with servers killed, frozen and Kafka itself restarted under them: each event
 * that came in is in our topic once and has started one run, however often it was sent; and each is outside again at least once,
 * in the order of its key.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kafkaClient } from '../../../scripts/kafka-client.mjs';
import { kafkaJars, startKafka, type KafkaServer } from '../../../scripts/kafka.mjs';
import { Child } from '../../process/support/processes.js';
import { Database, databaseMissing } from '../support/database.js';
import { pause } from '../support/asking.js';
import { bridgeFaults, type Witness } from '../support/bridge-ledger.js';
import type { Round } from '../support/round.js';

export interface BridgeSize {
  readonly events: number;
  /** How many of them are sent twice. */
  readonly repeats: number;
  readonly kills: number;
  readonly freezes: number;
  readonly brokerRestarts: number;
  readonly perSecond: number;
  readonly store: 'postgres' | 'sqlite';
}

interface Facts {
  readonly direction: 'in' | 'out';
  readonly lag: number;
}

const startMs = 60_000;
const settleMs = 60_000;
const frozenMs = 2_500;

/** Why it cannot run here; null = it can. */
export function kafkaMissing(): string | null {
  const client = kafkaClient();
  if (client.node === null) return client.reason;
  try {
    kafkaJars();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return databaseMissing();
}

export async function bridgesUnderKills(size: BridgeSize): Promise<Round> {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-bridges-'));
  const faults: Record<string, number> = {};
  const fired = (kind: string): void => void (faults[kind] = (faults[kind] ?? 0) + 1);
  const kafka = await startKafka();
  const database = size.store === 'postgres' ? await Database.make({ folder }) : null;
  const servers: Child[] = [];
  try {
    await database?.start();
    const run = programs(database?.url ?? join(folder, 'bridges.db'), kafka);
    const feeder = run.feeder(size);
    await feeder.line((line) => line === 'ready', startMs);
    // A file has one owner; over a database there are three.
    for (let i = 0; i < (database === null ? 1 : 3); i++) servers.push(run.server());
    await Promise.all(servers.map((server) => server.line((line) => line === 'ready', startMs)));
    await harm(size, servers, run.server, kafka, fired);
    const fed = await feeder.line((line) => line.startsWith('fed'), settleMs);
    await untilSettled(servers);
    for (const server of servers) {
      server.process.kill('SIGTERM');
      await server.exited;
    }
    const file = join(folder, 'witness.json');
    const code = await run.witness(file).exited;
    if (code !== 0) throw new Error(`the witness ended with ${String(code)}`);
    const found = JSON.parse(readFileSync(file, 'utf8')) as Witness;
    const { records, sentAgain } = JSON.parse(fed.slice('fed '.length)) as { records: number; sentAgain: number };
    return {
      faults,
      counts: {
        events: size.events,
        records: records + sentAgain,
        effects: found.inside.flat().length,
        runs: found.runs,
        out: found.outside.flat().length,
      },
      violations: bridgeFaults(size.events, found).map((detail) => ({ property: 'P21', detail })),
    };
  } catch (error) {
    const words = servers.map((server) => server.errors.slice(-8).join('\n'));
    throw new Error(`${String(error)}\n${words.join('\n')}\n${kafka.log().slice(-2_000)}`, { cause: error });
  } finally {
    await Promise.all(servers.map((server) => server.kill('SIGKILL')));
    await kafka.stop();
    await database?.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Kills spread over the time that the load takes; some restarts of Kafka and some freezes among them. */
async function harm(
  size: BridgeSize,
  servers: Child[],
  start: () => Child,
  kafka: KafkaServer,
  fired: (kind: string) => void,
): Promise<void> {
  const { kills, freezes, brokerRestarts, events, repeats, perSecond } = size;
  const everyMs = (1_000 * (events + repeats)) / perSecond / kills;
  for (let i = 0; i < kills; i++) {
    await pause(everyMs * (0.5 + Math.random()));
    const index = i % servers.length;
    await servers[index]?.kill('SIGKILL');
    servers[index] = start();
    fired('server killed');
    if (isNth(i, kills, brokerRestarts)) {
      await kafka.kill();
      await pause(500 + Math.random() * 1_000);
      await kafka.start();
      fired('broker killed');
    }
    const other = servers[(i + 1) % servers.length];
    if (isNth(i + 1, kills, freezes) && other !== undefined && other !== servers[index]) {
      await other.freeze();
      await pause(frozenMs);
      other.thaw();
      fired('server frozen');
    }
  }
}

/** True `times` times among `of`, evenly. */
function isNth(i: number, of: number, times: number): boolean {
  return (
    times > 0 &&
    i % Math.max(1, Math.floor(of / (times + 1))) === 0 &&
    i > 0 &&
    i / Math.floor(of / (times + 1)) <= times
  );
}

/** Resolves when no server sees its bridges behind, several times in a row. */
async function untilSettled(servers: readonly Child[]): Promise<void> {
  await Promise.all(servers.map((server) => server.line((line) => line === 'ready', startMs)));
  const until = performance.now() + settleMs;
  for (let quiet = 0; quiet < 3; ) {
    if (performance.now() > until)
      throw new Error(`the bridges are still behind: ${servers.map(({ lines }) => lines.at(-1) ?? '').join('\n')}`);
    // Lag is looked up every few seconds: what is said must be younger than that.
    await pause(3_000);
    const facts = servers.flatMap((server) => {
      const last = server.lines.findLast((line) => line.startsWith('facts'));
      return last === undefined ? [null] : (JSON.parse(last.slice('facts '.length)) as Facts[]);
    });
    quiet = facts.every((fact) => fact !== null && fact.lag === 0) ? quiet + 1 : 0;
  }
}

function programs(
  store: string,
  { brokers }: KafkaServer,
): { server: () => Child; feeder: (size: BridgeSize) => Child; witness: (file: string) => Child } {
  const found = kafkaClient();
  if (found.node === null) throw new Error(found.reason);
  const { node, client } = found;
  const launch = (name: string, args: readonly string[]): Child => {
    const path = fileURLToPath(new URL(`../support/${name}`, import.meta.url));
    return new Child(node, [path, ...args], { KAFKA_CLIENT: client });
  };
  return {
    server: () => launch('bridge-server.mjs', [store, brokers]),
    feeder: ({ events, repeats, perSecond }) =>
      launch('bridge-feeder.mjs', [brokers, String(events), String(repeats), String(perSecond)]),
    witness: (file) => launch('bridge-witness.mjs', [store, brokers, file]),
  };
}
