/**
 * Reads what a file of bridges says: every fault is named, each with where it is. Invariant: what comes out can be run as
 * it is; names of topics are known only when servers run.
 */
import { SpineError } from '../errors.js';
import { limits } from '../limits.js';
import type { Bridge, BridgeFile, BusPlaceSpec } from './bridge.js';

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const busMembers = ['url', 'options'];
const commonMembers = ['name', 'bus', 'tenant', 'topic', 'batchMax', 'dead', 'from'];
const inMembers = [...commonMembers, 'in', 'group', 'accepts'];
const outMembers = [...commonMembers, 'out', 'mode', 'partitions'];

/**
 * What the parsed JSON of a file says.
 *
 * @throws BRIDGES_INVALID with every fault
 */
export function readBridgeFile(json: unknown): BridgeFile {
  const reader = new Reader();
  const file = reader.file(json);
  if (reader.faults.length > 0) throw new SpineError('BRIDGES_INVALID', { faults: reader.faults });
  return file;
}

type Members = Readonly<Record<string, unknown>>;

class Reader {
  readonly faults: string[] = [];

  file(json: unknown): BridgeFile {
    const { buses, bridges } = this.#members(json, 'the file', ['buses', 'bridges']);
    const places = Object.entries(this.#members(buses ?? {}, 'buses', null)).map(
      ([name, bus]): [string, BusPlaceSpec] => {
        if (!namePattern.test(name))
          this.#fault(`buses.${name}`, 'has a name with other characters than letters, digits, . _ -');
        return [name, this.#bus(bus, `buses.${name}`)];
      },
    );
    const known = new Set(places.map(([name]) => name));
    if (!Array.isArray(bridges)) {
      this.#fault('bridges', 'is not a list');
      return { buses: {}, bridges: [] };
    }
    if (bridges.length > limits.bridgesMax) this.#fault('bridges', `has more than ${limits.bridgesMax} items`);
    const read = bridges.map((bridge, i) => this.#bridge(bridge, `bridges[${i}]`, known));
    const names = read.map(({ name }) => name);
    for (const name of new Set(names.filter((one, i) => names.indexOf(one) !== i)))
      this.#fault('bridges', `has two of the name "${name}"`);
    return { buses: Object.fromEntries(places), bridges: read };
  }

  #bus(json: unknown, at: string): BusPlaceSpec {
    const { url, options } = this.#members(json, at, busMembers);
    if (typeof url !== 'string' || !/^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(url))
      this.#fault(`${at}.url`, 'is not a URL like kafka://localhost:9092');
    return { url: String(url), options: options === undefined ? {} : this.#members(options, `${at}.options`, null) };
  }

  #bridge(json: unknown, at: string, buses: ReadonlySet<string>): Bridge {
    const isOut = typeof json === 'object' && json !== null && 'out' in json;
    const members = this.#members(json, at, isOut ? outMembers : inMembers);
    const bus = this.#name(members, at, 'bus');
    if (bus !== '' && !buses.has(bus)) this.#fault(`${at}.bus`, `names "${bus}", which is not one of buses`);
    const base = {
      name: this.#name(members, at, 'name'),
      bus,
      tenant: this.#name(members, at, 'tenant', 'default'),
      topic: this.#name(members, at, 'topic'),
      outside: this.#name(members, at, isOut ? 'out' : 'in'),
      batchMax: this.#count(members, at, 'batchMax', limits.bridgeBatchDefault, limits.bridgeBatchMax) ?? 1,
      from: this.#choice(members, at, 'from', ['oldest', 'newest'] as const),
      ...(members['dead'] === undefined ? {} : { dead: this.#name(members, at, 'dead') }),
    };
    // What is told of there would be sent out again, and die again.
    if (isOut && base.dead === base.topic) this.#fault(`${at}.dead`, 'is the topic of the bridge itself');
    if (isOut)
      return {
        ...base,
        direction: 'out',
        mode: this.#choice(members, at, 'mode', ['binary', 'structured'] as const),
        partitions: this.#count(members, at, 'partitions', null, limits.bridgePartitionsMax),
      };
    return {
      ...base,
      direction: 'in',
      group: this.#name(members, at, 'group', `eventspine-${base.name}`),
      accepts: this.#choice(members, at, 'accepts', ['cloudevents', 'json'] as const),
    };
  }

  /** `known` null = any member. */
  #members(json: unknown, at: string, known: readonly string[] | null): Members {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      this.#fault(at, 'is not an object');
      return {};
    }
    if (known !== null)
      for (const name of Object.keys(json))
        if (!known.includes(name)) this.#fault(`${at}.${name}`, `is not known; known are ${known.join(', ')}`);
    return json as Members;
  }

  #name(members: Members, at: string, name: string, otherwise?: string): string {
    const value = members[name] ?? otherwise;
    if (value === undefined) this.#fault(`${at}.${name}`, 'is missing');
    else if (typeof value !== 'string' || value.length > limits.nameLengthMax || !namePattern.test(value))
      this.#fault(`${at}.${name}`, `is not a name of at most ${limits.nameLengthMax} letters, digits, . _ -`);
    else return value;
    return '';
  }

  #choice<const T extends string>(members: Members, at: string, name: string, choices: readonly [T, ...T[]]): T {
    const value = members[name] ?? choices[0];
    const found = choices.find((choice) => choice === value);
    if (found === undefined) this.#fault(`${at}.${name}`, `is not one of ${choices.join(', ')}`);
    return found ?? choices[0];
  }

  #count<T extends number | null>(members: Members, at: string, name: string, otherwise: T, max: number): number | T {
    const value = members[name];
    if (value === undefined) return otherwise;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= max) return value;
    this.#fault(`${at}.${name}`, `is not a whole number from 1 to ${max}`);
    return otherwise;
  }

  #fault(at: string, what: string): void {
    this.faults.push(`${at} ${what}`);
  }
}
