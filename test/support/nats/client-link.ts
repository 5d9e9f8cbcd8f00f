/** Stands between one client and a server, and does to it what networks and machines do: cut off, frozen, answers lost. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class ClientLink {
  readonly #server: Server;
  readonly #target: number;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #state: 'well' | 'frozen' | 'gone' = 'well';
  /** What the server says is dropped until then, on the clock of `performance`. */
  #deafUntilMs = 0;
  #deafOnSend = false;
  #deafMs = 0;
  port = 0;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((socket) => this.#join(socket));
  }

  static async start(target: number): Promise<ClientLink> {
    const link = new ClientLink(target);
    await new Promise<void>((resolve) => link.#server.listen(0, '127.0.0.1', resolve));
    const address = link.#server.address();
    if (typeof address === 'object' && address !== null) link.port = address.port;
    return link;
  }

  /** Everything ends, and nothing new is let in. */
  cut(): void {
    this.#state = 'gone';
    for (const pair of this.#pairs) destroy(pair);
  }

  /** Nothing gets through, either way, and no connection ends. */
  freeze(): void {
    this.#state = 'frozen';
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  thaw(): void {
    this.#state = 'well';
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  /** What the client sends next arrives, and the server is not heard for so long after it. */
  loseAnswer(ms: number): void {
    this.#deafOnSend = true;
    this.#deafMs = ms;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #join(client: Socket): void {
    if (this.#state === 'gone') {
      client.destroy();
      return;
    }
    const server = connect(this.#target, '127.0.0.1');
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    client.on('data', (chunk: Buffer) => {
      if (this.#deafOnSend) {
        this.#deafOnSend = false;
        this.#deafUntilMs = performance.now() + this.#deafMs;
      }
      server.write(chunk);
    });
    server.on('data', (chunk: Buffer) => {
      if (performance.now() >= this.#deafUntilMs) client.write(chunk);
    });
    for (const socket of pair) {
      socket.on('error', () => destroy(pair));
      socket.on('close', () => {
        destroy(pair);
        this.#pairs.delete(pair);
      });
    }
    if (this.#state === 'frozen') for (const socket of pair) socket.pause();
  }
}

function destroy(pair: readonly [Socket, Socket]): void {
  for (const socket of pair) socket.destroy();
}
