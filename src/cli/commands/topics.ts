/** `eventspine topics read`: the events of a topic, those that are there or those that come. */
import type { Client } from '../../client/index.js';
import type { TopicEventView } from '../../protocol/http.js';
import type { CommandRun, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { instantFlag } from '../moment.js';
import { clientFor } from '../server-client.js';

/** Prints events as JSON lines: partition by partition what is there, or what comes. */
export const readTopic: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const topic = words.one('topic');
  const most = flags.number('limit') ?? Number.POSITIVE_INFINITY;
  const client = clientFor(invocation);
  let seen = 0;
  const events = flags.truth('follow') ? coming(invocation, client, topic) : kept(invocation, client, topic);
  try {
    for await (const event of events) {
      io.out(JSON.stringify(event));
      seen += 1;
      if (seen >= most) break;
    }
  } catch (error) {
    if (io.signal.aborted) return exitCodes.interrupted.code;
    throw error;
  }
  return exitCodes.ok.code;
};

async function* kept({ flags, io }: Invocation, client: Client, topic: string): AsyncGenerator<TopicEventView> {
  const from = instantFlag(flags, 'from', Date.now());
  const at = from === undefined ? {} : { at: from.toISOString() };
  const partition = flags.number('partition');
  const known = (await client.topics.list()).find((one) => one.topic === topic)?.partitions ?? [];
  const wanted = partition === undefined ? known.map((one) => one.partition) : [partition];
  for (const one of wanted) yield* client.topics.events(topic, { partition: one, ...at, signal: io.signal });
}

async function* coming({ flags, io }: Invocation, client: Client, topic: string): AsyncGenerator<TopicEventView> {
  const from = instantFlag(flags, 'from', Date.now());
  const partition = flags.number('partition');
  const items = client.topics.follow(topic, {
    ...(from === undefined ? {} : { from }),
    ...(partition === undefined ? {} : { partition }),
    signal: io.signal,
  });
  for await (const item of items) {
    if (item.event === 'event') yield item.data;
    else io.err(`events ${item.data.from} to ${item.data.to} of partition ${item.data.partition} are gone`);
  }
}
