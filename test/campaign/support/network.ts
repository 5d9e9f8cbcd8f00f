/**
 * A network of a test's own: a namespace for each machine, joined by a bridge that the test can reach too. Ways are cut in
 * one direction or both; nothing is refused and nothing is closed, the packets are just gone. Needs root and `ip`.
 *
 * A way is cut by a false hardware address for the one at its end: what is sent there arrives at nobody. That asks for no
 * packet filter, which not every kernel has.
 */
import { spawnSync } from 'node:child_process';

/** What is missing for networks of one's own; null = nothing. */
export function networkMissing(): string | null {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  if (spawnSync('sh', ['-c', 'command -v ip && command -v setpriv']).status !== 0)
    return 'ip (iproute2) or setpriv (util-linux) is not installed';
  const probe = `es${process.pid}probe`;
  const made = spawnSync('ip', ['netns', 'add', probe], { encoding: 'utf8' });
  if (made.status !== 0) return `network namespaces cannot be made here: ${made.stderr.trim()}`;
  spawnSync('ip', ['netns', 'del', probe]);
  return null;
}

const nobody = '02:00:00:00:00:fe';

export class Network {
  readonly #tag: string;
  readonly #subnet: string;
  readonly #machines = new Map<
    string,
    { readonly host: string; readonly lladdr: string; readonly namespace: string }
  >();

  constructor() {
    // Names of devices have 15 characters.
    this.#tag = `e${(process.pid % 100_000).toString(36)}`;
    this.#subnet = `10.${180 + (process.pid % 50)}.${(process.pid >> 6) % 250}`;
    ip(`link add ${this.#tag}br type bridge`);
    ip(`addr add ${this.#subnet}.1/24 dev ${this.#tag}br`);
    ip(`link set ${this.#tag}br up`);
  }

  /** A machine on the network. */
  add(name: string): { readonly host: string; readonly namespace: string } {
    const number = 10 + this.#machines.size;
    const namespace = `${this.#tag}-${name}`;
    const host = `${this.#subnet}.${number}`;
    const lladdr = `02:00:00:00:01:${number.toString(16).padStart(2, '0')}`;
    const near = `${this.#tag}n${number}`;
    ip(`netns add ${namespace}`);
    ip(`link add ${near} type veth peer name eth0 netns ${namespace}`);
    ip(`link set ${near} master ${this.#tag}br up`);
    ip(`-n ${namespace} link set eth0 address ${lladdr}`);
    ip(`-n ${namespace} addr add ${host}/24 dev eth0`);
    ip(`-n ${namespace} link set eth0 up`);
    ip(`-n ${namespace} link set lo up`);
    this.#machines.set(name, { host, lladdr, namespace });
    return { host, namespace };
  }

  /** What `from` sends to `to` is lost from now on. */
  cut(from: string, to: string): void {
    this.#way(from, to, nobody);
  }

  heal(from: string, to: string): void {
    this.#way(from, to, null);
  }

  /** Whether a packet of `from` comes back from `to`: shows that a cut cuts. */
  reaches(from: string, to: string): boolean {
    const { namespace } = this.#machine(from);
    const { host } = this.#machine(to);
    const program = `const s=require('net').connect({host:'${host}',port:9});
      s.on('error',e=>process.exit(e.code==='ECONNREFUSED'?0:1));s.setTimeout(700,()=>process.exit(1))`;
    return spawnSync('ip', ['netns', 'exec', namespace, process.execPath, '-e', program]).status === 0;
  }

  remove(): void {
    for (const { namespace } of this.#machines.values()) spawnSync('ip', ['netns', 'del', namespace]);
    spawnSync('ip', ['link', 'del', `${this.#tag}br`]);
  }

  #way(from: string, to: string, lladdr: string | null): void {
    const { namespace } = this.#machine(from);
    const target = this.#machine(to);
    ip(`-n ${namespace} neigh replace ${target.host} lladdr ${lladdr ?? target.lladdr} dev eth0 nud permanent`);
  }

  #machine(name: string): { readonly host: string; readonly lladdr: string; readonly namespace: string } {
    const machine = this.#machines.get(name);
    if (machine === undefined) throw new RangeError(`there is no machine ${name}`);
    return machine;
  }
}

function ip(command: string): void {
  const result = spawnSync('ip', command.split(' '), { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`ip ${command}: ${result.stderr.trim()}`);
}
