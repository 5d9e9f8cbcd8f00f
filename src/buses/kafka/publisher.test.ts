import { describe, expect, it } from 'vitest';
import type { BusMessage, BusPublished } from '../../bus/index.js';
import type { ClientMessage, ClientProduced, KafkaClientModule } from './client-module.js';
import { settingsOf } from './options.js';
import { Publisher } from './publisher.js';

/** What a producer does with a send: gives offsets, or throws. */
type Send = (messages: readonly ClientMessage[]) => { offsets: readonly ClientProduced[] };

class World {
  readonly sends: (readonly ClientMessage[])[] = [];
  readonly publisher: Publisher;
  /** Sends under way at the same time, at most. */
  overlap = 0;
  readonly #ends = new Map<number, bigint>();

  constructor(send: (world: World) => Send = (world) => (messages) => world.take(messages)) {
    let under = 0;
    const began = (messages: readonly ClientMessage[]): void => {
      under += 1;
      this.overlap = Math.max(this.overlap, under);
      this.sends.push(messages);
    };
    const answer = send(this);
    class Producer {
      async metadata({ topics = [] }: { topics?: string[] }): Promise<unknown> {
        if (topics.includes('gone')) throw Object.assign(new Error('Unknown topic gone.'), { code: 'PLT_KFK_USER' });
        const topic = { id: 'topic-id', partitionsCount: 3, partitions: [] };
        return { brokers: new Map(), topics: new Map(topics.map((name) => [name, topic])) };
      }
      async send({ messages }: { messages: readonly ClientMessage[] }): Promise<unknown> {
        began(messages);
        await Promise.resolve();
        under -= 1;
        return answer(messages);
      }
      async close(): Promise<void> {}
    }
    const module = { Producer, compatibilityPartitioner: (_: unknown, key: Buffer) => Number(key.toString()) };
    this.publisher = new Publisher(
      module as unknown as KafkaClientModule,
      settingsOf({ brokers: ['one:1'], messageBytesMax: 2048 }),
    );
  }

  /** Offsets of the first of each partition, as brokers answer. */
  take(messages: readonly ClientMessage[]): { offsets: ClientProduced[] } {
    const offsets = new Map<number, ClientProduced>();
    for (const { topic, partition } of messages) {
      const offset = this.#ends.get(partition) ?? 0n;
      if (!offsets.has(partition)) offsets.set(partition, { topic, partition, offset });
      this.#ends.set(partition, offset + 1n);
    }
    return { offsets: [...offsets.values()] };
  }

  idsSent(): string[][] {
    return this.sends.map((messages) => messages.map(idOf));
  }
}

function message(id: string, key: string | null, bytes = 1): BusMessage {
  return { id, topic: 'orders', key, headers: {}, body: new Uint8Array(bytes) };
}

function idOf({ headers }: ClientMessage): string {
  return [...headers.values()].map(String).join();
}

function told(answers: readonly BusPublished[]): string[] {
  return answers.map((answer) => {
    if (answer.tag === 'failed') return answer.retryable ? 'again' : 'never';
    return answer.position === null ? 'taken' : `${answer.position.partition}/${answer.position.offset}`;
  });
}

function failure(apiId: string, more: object = {}): Error {
  const leaf = Object.assign(new Error(apiId), { apiId });
  return Object.assign(new AggregateError([Object.assign(new AggregateError([leaf]), more)]), {
    code: 'PLT_KFK_MULTIPLE',
  });
}

describe('Publisher', () => {
  it('has one send under way, and makes the next of what waits', async () => {
    const world = new World();
    const calls = ['1', '2', '1', '0'].map((key, i) => world.publisher.publish([message(`e${i}`, key)]));
    const first = await Promise.all(calls);
    expect(first.map(told)).toEqual([['1/0'], ['2/0'], ['1/1'], ['0/0']]);
    expect(world.idsSent()).toEqual([['e0', 'e1', 'e2', 'e3']]);
    expect(world.overlap).toBe(1);
  });

  it('deals out what has no key, and keeps what has one together', async () => {
    const world = new World();
    const all = [...['a', 'b', 'c'].map((id) => message(id, null)), message('d', '4'), message('e', '4')];
    const partitions = told(await world.publisher.publish(all)).map((at) => at.split('/')[0]);
    expect(new Set(partitions.slice(0, 3)).size).toBe(3);
    expect(partitions.slice(3)).toEqual(['1', '1']);
  });

  it('makes no batch larger than brokers take', async () => {
    const world = new World();
    await world.publisher.publish([
      message('a', '1', 900),
      message('b', '1', 900),
      message('c', '2', 900),
      message('d', '1', 900),
    ]);
    for (const send of world.sends) {
      const bytes = send.filter(({ partition }) => partition === 1).reduce((sum, { value }) => sum + value.length, 0);
      expect(bytes).toBeLessThanOrEqual(2048);
    }
    expect(world.idsSent().flat()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('never sends what is too large, and answers for the rest', async () => {
    const world = new World();
    expect(
      told(await world.publisher.publish([message('a', '1'), message('b', '1', 2049), message('c', '1')])),
    ).toEqual(['1/0', 'never', '1/1']);
  });

  it('believes what brokers answered for single partitions of a send that failed', async () => {
    const world = new World((made) => (messages) => {
      const { offsets } = made.take(messages.filter(({ partition }) => partition === 2));
      const partitionResponses = offsets.map(({ partition, offset }) => ({
        index: partition,
        errorCode: 0,
        baseOffset: offset,
      }));
      throw failure('KAFKA_STORAGE_ERROR', { response: { responses: [{ name: 'orders', partitionResponses }] } });
    });
    expect(told(await world.publisher.publish([message('a', '1'), message('b', '2'), message('c', '2')]))).toEqual([
      'again',
      '2/0',
      '2/1',
    ]);
  });

  it('lets one that brokers will never take harm nobody else', async () => {
    const world = new World((made) => (messages) => {
      if (messages.some((one) => idOf(one) === 'bad')) throw failure('INVALID_RECORD');
      return made.take(messages);
    });
    expect(told(await world.publisher.publish([message('a', '1'), message('bad', '1'), message('c', '1')]))).toEqual([
      '1/0',
      'never',
      '1/1',
    ]);
  });

  it('holds back what follows one of its key that may come again, in its call', async () => {
    let refusals = 1;
    const world = new World((made) => (messages) => {
      if (messages.length > 1) throw failure('INVALID_RECORD');
      if (idOf(messages[0]!) === 'a' && refusals-- > 0) throw failure('UNKNOWN_SERVER_ERROR');
      return made.take(messages);
    });
    const first = world.publisher.publish([message('a', '1'), message('b', '1'), message('c', '2')]);
    const second = world.publisher.publish([message('d', '1')]);
    expect(told(await first)).toEqual(['again', 'again', '2/0']);
    expect(told(await second)).toEqual(['1/0']);
  });

  it('calls failed what is for a topic that is not there, and takes the rest', async () => {
    const world = new World();
    const answers = await world.publisher.publish([{ ...message('a', '1'), topic: 'gone' }, message('b', '1')]);
    expect(told(answers)).toEqual(['again', '1/0']);
    expect(answers[0]).toMatchObject({ error: { code: 'BUS_TOPIC_MISSING' } });
  });

  it('bounds what waits, and takes nothing once it is closed', async () => {
    const world = new World();
    const many = Array.from({ length: 20_001 }, (_, i) => message(`e${i}`, null));
    const answers = told(await world.publisher.publish(many));
    expect(answers.filter((answer) => answer === 'again')).toHaveLength(1);
    await world.publisher.close();
    expect(told(await world.publisher.publish([message('late', '1')]))).toEqual(['again']);
  });
});
