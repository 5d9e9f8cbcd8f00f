/** Ports for servers that are started again at the same place. */
import { createServer } from 'node:net';

/** Below the ports that systems give to outgoing connections: one of those takes a port for a moment, just when it is wanted. */
const [from, to] = [20_000, 32_000];
const given = new Set<number>();

/** A port of the loopback on which nobody listens; never the same one twice in a process. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = from + Math.floor(Math.random() * (to - from));
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`There is no free port between ${from} and ${to}.`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
