/**
 * The bridges that `--bridges` names: a file of JSON, read before anything is opened, so that what is wrong with it is
 * said at once. Secrets stay outside of it: `{ "env": "NAME" }` stands for a variable, `{ "file": "path" }` for a file's text.
 */
import { dirname, resolve } from 'node:path';
import { SpineError } from '../core/errors.js';
import { readBridgeFile } from '../core/topics/bridge-file.js';
import type { BusPlaceSpec } from '../core/topics/bridge.js';
import type { BridgeSetup } from '../engine/index.js';
import { driverOf } from './bus-drivers.js';
import { completed, jsonOf } from './settings-file.js';

/** What a server is to run; nothing is connected yet. Fails with COMMAND_INVALID and BRIDGES_INVALID. */
export async function bridgesOf(given: string | undefined, folder: string): Promise<readonly BridgeSetup[]> {
  if (given === undefined) return [];
  const path = resolve(folder, given);
  const { buses, bridges } = readBridgeFile(await jsonOf(path, given, 'The bridges'));
  const places = new Map<string, BusPlaceSpec>();
  for (const [name, { url, options }] of Object.entries(buses)) {
    driverOf(url);
    places.set(name, {
      url,
      options: (await completed(options, `buses.${name}.options`, { folder: dirname(path), error })) as Members,
    });
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

function error(fault: string, cause?: unknown): SpineError {
  return new SpineError('BRIDGES_INVALID', { faults: [fault] }, cause === undefined ? {} : { cause });
}
