/**
 * `eventspine schemas` prints what the topics of an app are; `eventspine check --schemas` holds another build, or another
 * schema, against what it has printed, as servers do where definitions are registered. Neither asks a server.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SpineError } from '../../core/errors.js';
import {
  compatibilityModes,
  type CompatibilityMode,
  type JsonSchema,
  type TopicManifest,
} from '../../core/manifest.js';
import { evolutionFaults } from '../../core/schema/compatibility.js';
import { isRecord } from '../../core/schema/schema-text.js';
import type { CommandRun, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { findApp, importApp } from '../load-app.js';
import { prettyJson, printValue } from '../report.js';

/** Prints the topics of an app, to be kept beside the code. */
export const printSchemas: CommandRun = async (invocation) => {
  const { words, io } = invocation;
  const { manifest } = await importApp(await findApp(words.one('app'), io.folder));
  const { app, topics } = manifest;
  printValue(invocation, { app, topics }, () => prettyJson({ app, topics }));
  return exitCodes.ok.code;
};

/** What became of a topic that the old file has. */
interface Checked {
  readonly topic: string;
  readonly faults: readonly string[];
}

/** Fails where a topic changes in a way that it is declared not to. `old`: the file that `--schemas` names. */
export async function checkSchemas({ words, flags, io }: Invocation, old: string): ReturnType<CommandRun> {
  const mode = modeOf(flags.text('compatibility'));
  const before = topicsOf(await jsonOfFile(old, io.folder), old);
  const given = words.one('app');
  const after = given.endsWith('.json')
    ? topicsOf(await jsonOfFile(given, io.folder), given)
    : (await importApp(await findApp(given, io.folder))).manifest.topics;
  const checked = after.map((topic): Checked => {
    const held = mode === null ? topic : { ...topic, compatibility: { mode, transitive: false } };
    const registered = before.filter(({ name }) => name === topic.name);
    const faults = [null, ...registered].flatMap((one) => evolutionFaults(held, one));
    return { topic: topic.name, faults: [...new Set(faults)] };
  });
  const faults = checked.flatMap((one) => one.faults);
  if (flags.truth('json')) for (const one of checked) io.out(JSON.stringify(one));
  else {
    for (const fault of faults) io.out(fault);
    io.out(`Looked at ${checked.length} topics: ${faults.length === 0 ? 'compatible' : `${faults.length} faults`}.`);
  }
  return faults.length === 0 ? exitCodes.ok.code : exitCodes.failed.code;
}

function modeOf(given: string | undefined): CompatibilityMode | null {
  const found = compatibilityModes.find((one) => one === given);
  if (given === undefined) return null;
  if (found !== undefined) return found;
  const reason = `--compatibility is one of ${compatibilityModes.join(', ')}, not "${given}".`;
  throw new SpineError('COMMAND_INVALID', { reason });
}

async function jsonOfFile(given: string, folder: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(resolve(folder, given), 'utf8')) as unknown;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SpineError('COMMAND_INVALID', { reason: `${given} cannot be read as JSON: ${reason}.` });
  }
}

/** Of what `eventspine schemas` prints, a manifest, a list or page of them, or a JSON Schema by itself. */
function topicsOf(value: unknown, file: string): readonly TopicManifest[] {
  if (Array.isArray(value)) return value.flatMap((one) => topicsOf(one, file));
  if (!isRecord(value)) throw new SpineError('COMMAND_INVALID', { reason: `${file} has neither topics nor a schema.` });
  if (Array.isArray(value['items'])) return topicsOf(value['items'], file);
  if (Array.isArray(value['topics'])) return value['topics'] as readonly TopicManifest[];
  return [aloneOf(value)];
}

/** A schema that belongs to no topic: two of them are two topics of one name. */
function aloneOf(schema: JsonSchema): TopicManifest {
  return { name: 'schema', schema, key: null, partitions: 1, compatibility: { mode: 'backward', transitive: false } };
}
