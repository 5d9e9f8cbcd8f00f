/** A TCP address that can be pointed elsewhere: what a failover moves. Connections to the old place are cut off. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class Mover {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port: number | null;

  private constructor(port: number) {
    this.#port = port;
    this.#server = createServer((client) => this.#pass(client));
  }

  static async begin(port: number): Promise<Mover> {
    const made = new Mover(port);
    await new Promise<void>((done) => made.#server.listen(0, '127.0.0.1', done));
    return made;
  }

  get url(): string {
    const { port } = this.#server.address() as { port: number };
    return `postgres://postgres@127.0.0.1:${port}/postgres`;
  }

  /** New connections go there; null = nowhere. */
  point(port: number | null): void {
    this.#port = port;
    for (const socket of this.#sockets) socket.destroy();
  }

  end(): void {
    this.point(null);
    this.#server.close();
  }

  #pass(client: Socket): void {
    client.on('error', () => undefined);
    if (this.#port === null) {
      client.destroy();
      return;
    }
    const upstream = connect(this.#port, '127.0.0.1');
    upstream.on('error', () => undefined);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.pipe(other);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
  }
}
