/** What a group has not acknowledged: end of each partition less the offset that the group has committed, as Kafka's own tools count. */
import type { BusLag } from '../../bus/index.js';
import type { ClientAdmin, ClientConsumer } from './client-module.js';
import { deliveriesOf } from './records.js';

/** For more partitions than this, ages are not looked up: each costs a fetch. */
const agesMax = 64;
const ageBytesMax = 64 * 1024;

/** One entry for each partition. Exact as of the last commit that brokers have, which follows the store's. */
export async function lagOf(
  admin: ClientAdmin,
  source: ClientConsumer,
  group: string,
  topics: readonly string[],
  now: number,
): Promise<readonly BusLag[]> {
  const metadata = await source.metadata({ topics: [...topics] });
  const partitions = topics.flatMap((topic) => {
    const count = metadata.topics.get(topic)?.partitionsCount ?? 0;
    return Array.from({ length: count }, (_, partition) => ({ topic, partition }));
  });
  const committed = await committedOffsets(admin, group, topics, partitions);
  const begins = await source.listOffsets({ topics: [...topics], timestamp: -2n });
  // What nobody may read yet (open transactions) is not behind anybody.
  const ends = await source.listOffsets({ topics: [...topics], timestamp: -1n, isolationLevel: 1 });
  const lags: BusLag[] = [];
  let ages = 0;
  for (const { topic, partition } of partitions) {
    const begin = begins.get(topic)?.[partition] ?? 0n;
    const end = ends.get(topic)?.[partition] ?? 0n;
    const next = committed.get(`${topic}/${partition}`) ?? begin;
    const from = next < begin ? begin : next;
    const count = end > from ? end - from : 0n;
    const found = metadata.topics.get(topic);
    const leader = found?.partitions[partition]?.leader;
    const at =
      count > 0n && found !== undefined && leader !== undefined && ages++ < agesMax
        ? await timeAt(source, leader, { topic, topicId: found.id, partition }, from)
        : null;
    lags.push({ topic, partition, count, ageMs: at === null ? null : Math.max(0, now - at) });
  }
  return lags;
}

async function committedOffsets(
  admin: ClientAdmin,
  group: string,
  topics: readonly string[],
  partitions: readonly { readonly topic: string; readonly partition: number }[],
): Promise<Map<string, bigint>> {
  const groups = await admin.listConsumerGroupOffsets({
    groups: [
      {
        groupId: group,
        topics: topics.map((name) => ({
          name,
          partitionIndexes: partitions.filter(({ topic }) => topic === name).map(({ partition }) => partition),
        })),
      },
    ],
  });
  const offsets = new Map<string, bigint>();
  for (const { topics: found } of groups) {
    for (const { name, partitions: answers } of found) {
      for (const { partitionIndex, committedOffset } of answers) {
        if (committedOffset >= 0n) offsets.set(`${name}/${partitionIndex}`, committedOffset);
      }
    }
  }
  return offsets;
}

/** When the message at an offset (or the next there is) was taken; null where that cannot be found out. */
async function timeAt(
  source: ClientConsumer,
  node: number,
  partition: { readonly topic: string; readonly topicId: string; readonly partition: number },
  offset: bigint,
): Promise<number | null> {
  try {
    const answer = await source.fetch({
      node,
      maxWaitTime: 100,
      minBytes: 1,
      maxBytes: ageBytesMax,
      topics: [
        {
          topicId: partition.topicId,
          partitions: [
            {
              partition: partition.partition,
              fetchOffset: offset,
              currentLeaderEpoch: -1,
              lastFetchedEpoch: -1,
              partitionMaxBytes: ageBytesMax,
            },
          ],
        },
      ],
    });
    const found = answer.responses[0]?.partitions[0];
    return found === undefined ? null : (deliveriesOf(partition, offset, found).deliveries[0]?.at ?? null);
  } catch {
    return null;
  }
}
