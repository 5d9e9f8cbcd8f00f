/**
 * Stands between clients and a broker, real or fake, and does to single clients (by the id that they tell) what networks and
 * machines do: cut off, frozen, answers lost. The broker has to advertise the port of the link.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { apis } from './codes.js';
import { Frames } from './frames.js';
import { WireReader } from './wire.js';

type State = 'well' | 'frozen' | 'gone';

export class UnrulyLink {
  readonly #server: Server;
  readonly #target: () => number;
  readonly #states = new Map<string, State>();
  readonly #losing = new Map<string, number>();
  readonly #pairs = new Map<Socket, Pair>();
  #port = 0;

  private constructor(target: () => number) {
    this.#target = target;
    this.#server = createServer((socket) => this.#join(socket));
  }

  /** `target` says the port of the broker whenever a client comes. */
  static async start(target: () => number, port = 0): Promise<UnrulyLink> {
    const link = new UnrulyLink(target);
    await new Promise<void>((resolve) => link.#server.listen(port, '127.0.0.1', resolve));
    const address = link.#server.address();
    if (typeof address === 'object' && address !== null) link.#port = address.port;
    return link;
  }

  get port(): number {
    return this.#port;
  }

  /** Everything of this client ends, and nothing new of it is let in. */
  cut(clientId: string): void {
    this.#states.set(clientId, 'gone');
    for (const pair of this.#of(clientId)) pair.destroy();
  }

  /** Nothing of this client gets through, either way, and no connection ends. */
  freeze(clientId: string): void {
    this.#states.set(clientId, 'frozen');
    for (const pair of this.#of(clientId)) pair.freeze();
  }

  thaw(clientId: string): void {
    this.#states.set(clientId, 'well');
    for (const pair of this.#of(clientId)) pair.thaw();
  }

  /** What this client produces next arrives, and the connection ends before the answer does; so many times. */
  loseAnswers(clientId: string, times: number): void {
    this.#losing.set(clientId, times);
  }

  async close(): Promise<void> {
    for (const pair of this.#pairs.values()) pair.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #of(clientId: string): Pair[] {
    return [...this.#pairs.values()].filter((pair) => pair.clientId === clientId);
  }

  #join(client: Socket): void {
    const pair = new Pair(client, connect(this.#target(), '127.0.0.1'), {
      onClient: (clientId) => {
        if (this.#states.get(clientId) === 'gone') pair.destroy();
        if (this.#states.get(clientId) === 'frozen') pair.freeze();
      },
      losesAnswer: (clientId) => {
        const left = this.#losing.get(clientId) ?? 0;
        if (left > 0) this.#losing.set(clientId, left - 1);
        return left > 0;
      },
    });
    this.#pairs.set(client, pair);
    client.on('close', () => this.#pairs.delete(client));
  }
}

interface PairEvents {
  readonly onClient: (clientId: string) => void;
  /** Asked at each Produce. */
  readonly losesAnswer: (clientId: string) => boolean;
}

/** A connection of a client, and the one that goes on to the broker. */
class Pair {
  clientId: string | null = null;
  readonly #client: Socket;
  readonly #broker: Socket;
  #frozen = false;
  #losing = false;

  constructor(client: Socket, broker: Socket, events: PairEvents) {
    this.#client = client;
    this.#broker = broker;
    client.setNoDelay(true);
    broker.setNoDelay(true);
    const frames = new Frames((frame) => {
      const reader = new WireReader(frame);
      const api = reader.int16();
      reader.int16();
      reader.int32();
      const clientId = reader.shortText() ?? '';
      if (this.clientId === null) {
        this.clientId = clientId;
        events.onClient(clientId);
      }
      if (api === apis.produce.key && events.losesAnswer(clientId)) this.#losing = true;
    });
    client.on('data', (chunk: Buffer) => {
      frames.add(Buffer.from(chunk));
      broker.write(chunk);
    });
    broker.on('data', (chunk: Buffer) => {
      if (this.#losing) this.destroy();
      else client.write(chunk);
    });
    for (const socket of [client, broker]) {
      socket.on('error', () => this.destroy());
      socket.on('close', () => {
        // What ends while nothing gets through is not heard of either.
        if (!this.#frozen) this.destroy();
      });
    }
  }

  freeze(): void {
    this.#frozen = true;
    this.#client.pause();
    this.#broker.pause();
  }

  thaw(): void {
    this.#frozen = false;
    if (this.#client.destroyed || this.#broker.destroyed) this.destroy();
    this.#client.resume();
    this.#broker.resume();
  }

  destroy(): void {
    this.#client.destroy();
    this.#broker.destroy();
  }
}
