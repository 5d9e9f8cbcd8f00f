/**
 * A broker for tests that speaks as much of Kafka's protocol as a client of today needs: one node, logs in memory, idempotent
 * producers, classic groups. It stands where there is no Java, and where a real broker cannot be asked for a fault. Only the
 * one version of each request that is named in `codes.ts`. Never a product.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { apis, codes } from './codes.js';
import { FakeGroup } from './fake-groups.js';
import { FakeTopics, type FakePartition } from './fake-log.js';
import { Frames } from './frames.js';
import { WireReader, WireWriter } from './wire.js';

const nodeId = 1;
const pollMs = 5;
const partitionsDefault = 4;

interface Request {
  readonly clientId: string;
  readonly body: WireReader;
}

export class FakeBroker {
  readonly topics = new FakeTopics();
  readonly #groups = new Map<string, FakeGroup>();
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #port = 0;
  /** Where clients are told to connect: another place than its own where something stands between. */
  advertisedPort: number | null = null;
  #nextProducer = 1n;

  private constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(): Promise<FakeBroker> {
    const broker = new FakeBroker();
    await broker.#listen(0);
    return broker;
  }

  get port(): number {
    return this.#port;
  }

  group(name: string): FakeGroup {
    const found = this.#groups.get(name) ?? new FakeGroup();
    this.#groups.set(name, found);
    return found;
  }

  /** Puts a client out of all groups at once. */
  expire(clientId: string): void {
    for (const group of this.#groups.values()) group.expire(clientId);
  }

  /** Gone, with every connection; what it holds stays. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** Back at the same port. */
  async restart(): Promise<void> {
    await this.stop();
    await this.#listen(this.#port);
  }

  async close(): Promise<void> {
    for (const group of this.#groups.values()) group.close();
    await this.stop();
  }

  async #listen(port: number): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setNoDelay(true);
    // One request of a connection after the other, as real brokers do it.
    let turn: Promise<void> = Promise.resolve();
    const frames = new Frames((frame) => {
      turn = turn.then(() => this.#answer(socket, frame)).catch(() => socket.destroy() && undefined);
    });
    socket.on('data', (chunk: Buffer) => frames.add(chunk));
  }

  async #answer(socket: Socket, frame: Buffer): Promise<void> {
    const body = new WireReader(frame);
    const key = body.int16();
    const version = body.int16();
    const correlation = body.int32();
    const clientId = body.shortText() ?? '';
    body.tags();
    const head = new WireWriter().int32(correlation);
    // Only the answer that tells versions has no tags in its head: whoever asks does not know yet what is spoken.
    if (key !== apis.apiVersions.key) head.tags();
    const answer = await this.#dispatch(key, version, { clientId, body });
    const whole = Buffer.concat([head.done(), answer.done()]);
    if (!socket.destroyed) socket.write(Buffer.concat([new WireWriter().int32(whole.length).done(), whole]));
  }

  async #dispatch(key: number, version: number, request: Request): Promise<WireWriter> {
    const { body } = request;
    const spoken = Object.values(apis).find((api) => api.key === key);
    if (key === apis.apiVersions.key) return this.#apiVersions(version);
    if (spoken?.version !== version) throw new Error(`Request ${key} in version ${version} is not spoken.`);
    switch (key) {
      case apis.metadata.key:
        return this.#metadata(body);
      case apis.createTopics.key:
        return this.#createTopics(body);
      case apis.initProducerId.key:
        return new WireWriter()
          .int32(0)
          .int16(codes.none)
          .int64(this.#nextProducer++)
          .int16(0)
          .tags();
      case apis.produce.key:
        return this.#produce(body);
      case apis.fetch.key:
        return this.#fetch(body);
      case apis.listOffsets.key:
        return this.#listOffsets(body);
      case apis.findCoordinator.key:
        return this.#findCoordinator(body);
      case apis.joinGroup.key:
        return this.#joinGroup(request);
      case apis.syncGroup.key:
        return this.#syncGroup(body);
      case apis.heartbeat.key: {
        const group = this.group(body.text());
        const generation = body.int32();
        return new WireWriter().int32(0).int16(group.heartbeat(body.text(), generation)).tags();
      }
      case apis.leaveGroup.key:
        return this.#leaveGroup(body);
      case apis.offsetCommit.key:
        return this.#offsetCommit(body);
      case apis.offsetFetch.key:
        return this.#offsetFetch(body);
      default:
        throw new Error(`Request ${key} is not spoken.`);
    }
  }

  #apiVersions(version: number): WireWriter {
    if (version !== apis.apiVersions.version) throw new Error('Asked in a version that is not spoken.');
    return new WireWriter()
      .int16(codes.none)
      .list(Object.values(apis), (writer, api) =>
        writer
          .int16(api.key)
          .int16(api.key === apis.apiVersions.key ? 0 : api.version)
          .int16(api.version)
          .tags(),
      )
      .int32(0)
      .tags();
  }

  #metadata(body: WireReader): WireWriter {
    const asked = body.listOrNull((reader) => {
      const id = reader.uuid();
      const name = reader.textOrNull();
      reader.tags();
      return { id, name };
    });
    const found: readonly { readonly id: string; readonly name: string | null }[] = asked ?? this.topics.all;
    return new WireWriter()
      .int32(0)
      .list([nodeId], (writer, id) =>
        writer
          .int32(id)
          .text('127.0.0.1')
          .int32(this.advertisedPort ?? this.#port)
          .text(null)
          .tags(),
      )
      .text('fake')
      .int32(nodeId)
      .list(found, (writer, { id, name }) => {
        const topic = name === null ? this.topics.withId(id) : this.topics.named(name);
        writer
          .int16(topic === undefined ? codes.unknownTopicOrPartition : codes.none)
          .text(topic?.name ?? name)
          .uuid(topic?.id ?? '0'.repeat(32))
          .bool(false)
          .list(topic?.partitions ?? [], (each, partition) =>
            each
              .int16(codes.none)
              .int32(topic?.partitions.indexOf(partition) ?? 0)
              .int32(nodeId)
              .int32(0)
              .list([nodeId], (replica, one) => replica.int32(one))
              .list([nodeId], (replica, one) => replica.int32(one))
              .list([], () => undefined)
              .tags(),
          )
          .int32(0)
          .tags();
      })
      .tags();
  }

  #createTopics(body: WireReader): WireWriter {
    const topics = body.list((reader) => {
      const name = reader.text();
      const partitions = reader.int32();
      reader.int16();
      reader.list((each) => {
        each.int32();
        each.list((replica) => replica.int32());
        each.tags();
      });
      reader.list((each) => {
        each.text();
        each.textOrNull();
        each.tags();
      });
      reader.tags();
      return { name, partitions: partitions < 1 ? partitionsDefault : partitions };
    });
    return new WireWriter()
      .int32(0)
      .list(topics, (writer, { name, partitions }) => {
        const made = this.topics.create(name, partitions);
        writer
          .text(name)
          .uuid(this.topics.named(name)?.id ?? '0'.repeat(32))
          .int16(made ? codes.none : codes.topicAlreadyExists)
          .text(null)
          .int32(partitions)
          .int16(1)
          .list([], () => undefined)
          .tags();
      })
      .tags();
  }

  #produce(body: WireReader): WireWriter {
    body.textOrNull();
    body.int16();
    body.int32();
    const topics = body.list((reader) => {
      const name = reader.text();
      const partitions = reader.list((each) => {
        const index = each.int32();
        const records = each.blobOrNull() ?? Buffer.alloc(0);
        each.tags();
        return { index, ...this.topics.append(name, index, records) };
      });
      reader.tags();
      return { name, partitions };
    });
    return new WireWriter()
      .list(topics, (writer, { name, partitions }) =>
        writer
          .text(name)
          .list(partitions, (each, { index, error, offset }) =>
            each
              .int32(index)
              .int16(error)
              .int64(offset)
              .int64(-1n)
              .int64(0n)
              .list([], () => undefined)
              .text(null)
              .tags(),
          )
          .tags(),
      )
      .int32(0)
      .tags();
  }

  async #fetch(body: WireReader): Promise<WireWriter> {
    body.int32();
    const waitMs = body.int32();
    body.int32();
    const bytesMax = body.int32();
    body.int8();
    body.int32();
    body.int32();
    const topics = body.list((reader) => {
      const id = reader.uuid();
      const partitions = reader.list((each) => {
        const index = each.int32();
        each.int32();
        const offset = each.int64();
        each.int32();
        each.int64();
        const partitionBytesMax = each.int32();
        each.tags();
        return { index, offset, partitionBytesMax };
      });
      reader.tags();
      return { id, partitions };
    });
    const until = performance.now() + waitMs;
    const wanted = (): boolean =>
      topics.some(({ id, partitions }) =>
        partitions.some(({ index, offset }) => {
          const partition = this.topics.withId(id)?.partitions[index];
          return partition === undefined || offset !== partition.end;
        }),
      );
    while (!wanted() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, pollMs));
    return (
      new WireWriter()
        .int32(0)
        .int16(codes.none)
        // No sessions: every request tells all that is wanted.
        .int32(0)
        .list(topics, (writer, { id, partitions }) =>
          writer
            .uuid(id)
            .list(partitions, (each, { index, offset, partitionBytesMax }) => {
              const partition = this.topics.withId(id)?.partitions[index];
              const error = fetchError(partition, offset);
              const end = partition?.end ?? -1n;
              each
                .int32(index)
                .int16(error)
                .int64(end)
                .int64(end)
                .int64(partition?.start ?? -1n)
                .list(null, () => undefined)
                .int32(-1)
                .blob(
                  partition === undefined || error !== codes.none
                    ? Buffer.alloc(0)
                    : partition.read(offset, Math.min(bytesMax, partitionBytesMax)),
                )
                .tags();
            })
            .tags(),
        )
        .tags()
    );
  }

  #listOffsets(body: WireReader): WireWriter {
    body.int32();
    body.int8();
    const topics = body.list((reader) => {
      const name = reader.text();
      const partitions = reader.list((each) => {
        const index = each.int32();
        each.int32();
        const timestamp = each.int64();
        each.tags();
        return { index, timestamp };
      });
      reader.tags();
      return { name, partitions };
    });
    return new WireWriter()
      .int32(0)
      .list(topics, (writer, { name, partitions }) =>
        writer
          .text(name)
          .list(partitions, (each, { index, timestamp }) => {
            const partition = this.topics.named(name)?.partitions[index];
            each
              .int32(index)
              .int16(partition === undefined ? codes.unknownTopicOrPartition : codes.none)
              .int64(-1n)
              .int64((timestamp === -2n ? partition?.start : partition?.end) ?? -1n)
              .int32(0)
              .tags();
          })
          .tags(),
      )
      .tags();
  }

  #findCoordinator(body: WireReader): WireWriter {
    body.int8();
    const keys = body.list((reader) => reader.text());
    return new WireWriter()
      .int32(0)
      .list(keys, (writer, key) =>
        writer
          .text(key)
          .int32(nodeId)
          .text('127.0.0.1')
          .int32(this.advertisedPort ?? this.#port)
          .int16(codes.none)
          .text(null)
          .tags(),
      )
      .tags();
  }

  async #joinGroup({ clientId, body }: Request): Promise<WireWriter> {
    const group = this.group(body.text());
    const sessionMs = body.int32();
    const rebalanceMs = body.int32();
    const memberId = body.text();
    body.textOrNull();
    body.text();
    const protocols = body.list((reader) => {
      const name = reader.text();
      const metadata = reader.blobOrNull() ?? Buffer.alloc(0);
      reader.tags();
      return { name, metadata };
    });
    const joined = await group.join({ memberId, clientId, sessionMs, rebalanceMs, protocols });
    return new WireWriter()
      .int32(0)
      .int16(joined.error)
      .int32(joined.generation)
      .text('consumer')
      .text(joined.protocol)
      .text(joined.leader)
      .text(joined.memberId)
      .list(joined.members, (writer, member) => writer.text(member.memberId).text(null).blob(member.metadata).tags())
      .tags();
  }

  async #syncGroup(body: WireReader): Promise<WireWriter> {
    const group = this.group(body.text());
    const generation = body.int32();
    const memberId = body.text();
    body.textOrNull();
    body.textOrNull();
    const protocol = body.textOrNull();
    const assignments = body.list((reader) => {
      const member = reader.text();
      const assignment = reader.blobOrNull() ?? Buffer.alloc(0);
      reader.tags();
      return [member, assignment] as const;
    });
    const synced = await group.sync(memberId, generation, new Map(assignments));
    return new WireWriter().int32(0).int16(synced.error).text('consumer').text(protocol).blob(synced.assignment).tags();
  }

  #leaveGroup(body: WireReader): WireWriter {
    const group = this.group(body.text());
    const members = body.list((reader) => {
      const id = reader.text();
      reader.textOrNull();
      reader.tags();
      return id;
    });
    for (const id of members) group.leave(id);
    return new WireWriter()
      .int32(0)
      .int16(codes.none)
      .list(members, (writer, id) => writer.text(id).text(null).int16(codes.none).tags())
      .tags();
  }

  #offsetCommit(body: WireReader): WireWriter {
    const group = this.group(body.text());
    const generation = body.int32();
    const memberId = body.text();
    body.textOrNull();
    const error = group.has(memberId, generation);
    const topics = body.list((reader) => {
      const name = reader.text();
      const partitions = reader.list((each) => {
        const index = each.int32();
        const offset = each.int64();
        each.int32();
        each.textOrNull();
        each.tags();
        if (error === codes.none) group.offsets.set(`${name}/${index}`, offset);
        return index;
      });
      reader.tags();
      return { name, partitions };
    });
    return new WireWriter()
      .int32(0)
      .list(topics, (writer, { name, partitions }) =>
        writer
          .text(name)
          .list(partitions, (each, index) => each.int32(index).int16(error).tags())
          .tags(),
      )
      .tags();
  }

  #offsetFetch(body: WireReader): WireWriter {
    const groups = body.list((reader) => {
      const name = reader.text();
      const topics = reader.list((each) => {
        const topic = each.text();
        const partitions = each.list((index) => index.int32());
        each.tags();
        return { topic, partitions };
      });
      reader.tags();
      return { name, topics };
    });
    return new WireWriter()
      .int32(0)
      .list(groups, (writer, { name, topics }) =>
        writer
          .text(name)
          .list(topics, (each, { topic, partitions }) =>
            each
              .text(topic)
              .list(partitions, (one, index) =>
                one
                  .int32(index)
                  .int64(this.group(name).offsets.get(`${topic}/${index}`) ?? -1n)
                  .int32(-1)
                  .text(null)
                  .int16(codes.none)
                  .tags(),
              )
              .tags(),
          )
          .int16(codes.none)
          .tags(),
      )
      .tags();
  }
}

function fetchError(partition: FakePartition | undefined, offset: bigint): number {
  if (partition === undefined) return codes.unknownTopicId;
  return offset < partition.start || offset > partition.end ? codes.offsetOutOfRange : codes.none;
}
