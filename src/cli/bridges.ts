/**
 * The bridges that `--bridges` names: a file of JSON, read before anything is opened, so that what is wrong with it is
 * said at once. Secrets stay outside of it: `{ "env": "NAME" }` stands for a variable, `{ "file": "path" }` for a file's text.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { SpineError } from '../core/errors.js';
import { readBridgeFile } from '../core/topics/bridge-file.js';
import type { BusPlaceSpec } from '../core/topics/bridge.js';
import type { BridgeSetup } from '../engine/index.js';
import { driverOf } from './bus-drivers.js';
import { variableOf } from './environment.js';

/** What a server is to run; nothing is connected yet. Fails with COMMAND_INVALID and BRIDGES_INVALID. */
export async function bridgesOf(given: string | undefined, folder: string): Promise<readonly BridgeSetup[]> {
  if (given === undefined) return [];
  const path = resolve(folder, given);
  const { buses, bridges } = readBridgeFile(await jsonOf(path, given));
  const places = new Map<string, BusPlaceSpec>();
  for (const [name, { url, options }] of Object.entries(buses)) {
    driverOf(url);
    places.set(name, { url, options: (await resolved(options, dirname(path), `buses.${name}.options`)) as Members });
  }
  return bridges.map((bridge) => ({
    bridge,
    open: () => {
      const place = places.get(bridge.bus);
      if (place === undefined) throw new Error(`Invariant broken: there is no bus ${bridge.bus}`);
      return driverOf(place.url)(place);
    },
  }));
}

type Members = Readonly<Record<string, unknown>>;

async function jsonOf(path: string, given: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SpineError('COMMAND_INVALID', { reason: `The bridges in ${given} cannot be read: ${reason}.` });
  }
}

/** Options with what stands for variables and files replaced. */
async function resolved(value: unknown, folder: string, at: string): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map((item, i) => resolved(item, folder, `${at}[${i}]`)));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value as Members);
  const [only] = entries;
  if (entries.length === 1 && only !== undefined && typeof only[1] === 'string') {
    if (only[0] === 'env') return fromEnvironment(only[1], at);
    if (only[0] === 'file') return fromFile(resolve(folder, only[1]), only[1], at);
  }
  const members = await Promise.all(
    entries.map(
      async ([name, member]): Promise<[string, unknown]> => [name, await resolved(member, folder, `${at}.${name}`)],
    ),
  );
  return Object.fromEntries(members);
}

function fromEnvironment(name: string, at: string): string {
  const value = variableOf(name);
  if (value === undefined)
    throw new SpineError('BRIDGES_INVALID', { faults: [`${at}: the variable ${name} is not set`] });
  return value;
}

async function fromFile(path: string, given: string, at: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SpineError(
      'BRIDGES_INVALID',
      { faults: [`${at}: ${given} cannot be read: ${reason}`] },
      { cause: error },
    );
  }
}
