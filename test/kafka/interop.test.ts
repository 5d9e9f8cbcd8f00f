/**
 * Clients of other makes beside ours, on one real broker: Kafka's own (Java) and kcat (librdkafka), each reading what we wrote
 * and writing what we read, as CloudEvents in binary mode; and Kafka's own tool for groups, which has to show our lag.
 */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { kcatProgram } from '../../scripts/kcat.mjs';
import { runKafkaTool } from '../../scripts/kafka.mjs';
import type { Bus, BusDelivery, BusMessage, BusSubscription } from '../../src/bus/index.js';
import { describeUnless } from '../skip.js';
import { openKafka } from './places.js';

const { real, reason } = inject('kafka');
const brokers = real?.brokers ?? '';
const jars = real?.jars ?? null;
const partitions = 6;
const keys = ['order-1', 'order-2', 'Grüße', '', 'a much longer key, with blanks and 123'];

describeUnless(jars === null ? reason || 'the broker is not ours' : null, "Kafka's own programs", () => {
  if (jars === null) return;
  const bus = lazyBus();

  it('write what we read, and put keys where we put them', async () => {
    const topic = await bus.topic();
    const lines = keys.map(
      (key, i) => `ce_specversion:1.0,ce_id:java-${i},ce_type:t,ce_source:/java\t${key}\tbody ${i}`,
    );
    const written = runKafkaTool(
      jars,
      'org.apache.kafka.tools.ConsoleProducer',
      [
        ['--bootstrap-server', brokers, '--topic', topic],
        ['--reader-property', 'parse.headers=true', '--reader-property', 'parse.key=true'],
      ].flat(),
      { input: `${lines.join('\n')}\n` },
    );
    expect(written.stderr).not.toMatch(/ERROR/);
    const ours = await bus.publish(keys.map((key, i) => event(topic, `our-${i}`, key)));
    const found = await bus.read(topic, 2 * keys.length);
    for (const [i, key] of keys.entries()) {
      const java = found.find(({ id }) => id === `java-${i}`);
      expect(java).toMatchObject({ key, headers: { ce_specversion: '1.0', ce_type: 't', ce_source: '/java' } });
      expect(new TextDecoder().decode(java?.body)).toBe(`body ${i}`);
      expect(ours[i]).toMatchObject({ tag: 'published', position: { partition: java?.position?.partition } });
    }
  });

  it('read what we wrote', async () => {
    const topic = await bus.topic();
    await bus.publish(keys.map((key, i) => event(topic, `our-${i}`, key)));
    const { stdout } = runKafkaTool(
      jars,
      'org.apache.kafka.tools.consumer.ConsoleConsumer',
      [
        ['--bootstrap-server', brokers, '--topic', topic, '--from-beginning'],
        ['--max-messages', String(keys.length), '--timeout-ms', '20000'],
        ['--formatter-property', 'print.headers=true', '--formatter-property', 'print.key=true'],
      ].flat(),
    );
    const lines = stdout.trim().split('\n').sort();
    expect(lines).toEqual(
      keys
        .map((key, i) => `ce_specversion:1.0,ce_type:test,ce_source:/test,ce_id:our-${i}\t${key}\tbody of our-${i}`)
        .sort(),
    );
  });

  it('show how far our groups are behind', async () => {
    const topic = await bus.topic();
    const group = `group-${randomUUID()}`;
    await bus.publish(Array.from({ length: 10 }, (_, i) => event(topic, `our-${i}`, 'k')));
    await bus.read(topic, 10, group);
    await bus.publish(Array.from({ length: 4 }, (_, i) => event(topic, `late-${i}`, 'k')));
    const { stdout } = runKafkaTool(jars, 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', [
      ...['--bootstrap-server', brokers, '--describe', '--group', group],
    ]);
    const rows = stdout
      .split('\n')
      .filter((line) => line.includes(topic))
      .map((line) => line.trim().split(/\s+/));
    const ofKey = rows.find(([, , , , end]) => end === '14');
    expect(ofKey?.slice(3, 6)).toEqual(['10', '14', '4']);
    expect((await bus.lag(group, topic)).reduce((sum, count) => sum + count, 0n)).toBe(4n);
  });
});

const kcat = kcatProgram();

describeUnless(real === null ? reason : kcat.program === null ? kcat.reason : null, 'kcat', () => {
  if (kcat.program === null) return;
  const { program, env } = kcat;
  const bus = lazyBus();
  const run = (args: readonly string[], input = ''): string => {
    const { status, stdout, stderr } = spawnSync(program, ['-b', brokers, '-q', ...args], {
      env: { ...process.env, ...env },
      encoding: 'utf8',
      input,
      timeout: 30_000,
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    return stdout;
  };

  describe.each(['none', 'gzip', 'lz4', 'zstd', 'snappy'])('with compression %s', (codec) => {
    it('writes what we read', async () => {
      const topic = await bus.topic();
      const headers = ['ce_specversion=1.0', 'ce_id=kcat-1', 'ce_type=t', 'ce_source=/kcat'];
      run(
        ['-P', '-t', topic, '-k', 'order-1', '-z', codec, ...headers.flatMap((header) => ['-H', header])],
        'from kcat',
      );
      const [delivery] = await bus.read(topic, 1);
      expect(delivery).toMatchObject({
        id: 'kcat-1',
        key: 'order-1',
        headers: { ce_specversion: '1.0', ce_id: 'kcat-1', ce_type: 't', ce_source: '/kcat' },
      });
      expect(new TextDecoder().decode(delivery?.body)).toBe('from kcat');
    });
  });

  it('reads what we wrote', async () => {
    const topic = await bus.topic();
    await bus.publish(keys.map((key, i) => event(topic, `our-${i}`, key)));
    const lines = run(['-C', '-t', topic, '-e', '-f', '%h|%k|%s\n']).trim().split('\n').sort();
    expect(lines).toEqual(
      keys
        .map((key, i) => `ce_specversion=1.0,ce_type=test,ce_source=/test,ce_id=our-${i}|${key}|body of our-${i}`)
        .sort(),
    );
  });
});

function event(topic: string, id: string, key: string): BusMessage {
  const headers = { ce_specversion: '1.0', ce_type: 'test', ce_source: '/test', ce_id: id };
  return { id, topic, key, headers, body: new TextEncoder().encode(`body of ${id}`) };
}

/** A bus of ours that is opened when it is first used, and closed after the suite. */
function lazyBus(): {
  topic(): Promise<string>;
  publish: Bus['publish'];
  read(topic: string, count: number, group?: string): Promise<readonly BusDelivery[]>;
  lag(group: string, topic: string): Promise<readonly bigint[]>;
} {
  let opened: Promise<Bus> | null = null;
  const get = (): Promise<Bus> => (opened ??= openKafka({ brokers: brokers.split(',') }));
  afterAll(async () => {
    await (await opened)?.close();
  });
  return {
    topic: async () => {
      const name = `interop-${randomUUID()}`;
      await (await get()).ensure([{ name, partitions }]);
      return name;
    },
    publish: async (messages) => (await get()).publish(messages),
    read: async (topic, count, group = topic) => read(await get(), topic, count, group),
    lag: async (group, topic) => (await (await get()).lag(group, [topic])).map((lag) => lag.count),
  };
}

async function read(bus: Bus, topic: string, count: number, group: string): Promise<readonly BusDelivery[]> {
  const found: BusDelivery[] = [];
  let subscription: BusSubscription | null = null;
  await new Promise<void>((resolve, reject) => {
    const options = { topics: [topic], group, from: 'oldest' as const, batchMax: 100, waitMs: 1, onFailed: reject };
    bus
      .subscribe(options, async (batch) => {
        found.push(...batch);
        if (found.length >= count) resolve();
        return batch.map(() => ({ tag: 'ack' }));
      })
      .then((one) => (subscription = one), reject);
  });
  await closed(subscription);
  return found;
}

async function closed(subscription: BusSubscription | null): Promise<void> {
  await subscription?.close();
}
