/** `eventspine migrate | backup | restored`: a store as a whole, while no server writes to it, or beside one that does. */
import { resolve } from 'node:path';
import { SpineError } from '../../core/errors.js';
import { createEngine } from '../../engine/index.js';
import { nodePorts } from '../../runtime/index.js';
import { dumpTables, type DumpSource, type MoveSummary, moveStore } from '../../store/index.js';
import { backupSqlite, markSqliteRestored, openSqliteDump } from '../../stores/sqlite/index.js';
import type { CommandRun, Flags, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printValue } from '../report.js';
import { existingStore, type StoreChoice } from '../store-choice.js';
import { renderPairs, renderTable } from '../table.js';

/** Progress is told this often, ms. */
const tellEveryMs = 2_000;

/** Moves everything from a SQLite file into an empty PostgreSQL schema, or nothing. */
export const migrate: CommandRun = async (invocation) => {
  const { flags, io } = invocation;
  const [from, to] = [required(flags, 'from'), required(flags, 'to')];
  const [old, next] = [await existingStore(from, io), await existingStore(to, io)];
  if (old.factory.name !== 'sqlite')
    throw new SpineError('COMMAND_INVALID', { reason: '--from must be a SQLite file.' });
  if (next.factory.name !== 'postgres')
    throw new SpineError('COMMAND_INVALID', {
      reason: '--to must be a URL like postgres://user:password@host/database.',
    });
  const source = await openSqliteDump({ file: old.place });
  let summary: MoveSummary;
  try {
    summary = await moveInto(to, source, invocation);
    // From here on the runs belong to the new store; two that go on with them would do every step twice.
    if (!flags.truth('keep')) source.retire(Date.now());
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    io.err('Interrupted; nothing was moved.');
    return exitCodes.interrupted.code;
  } finally {
    await source.close();
  }
  const faults = await faultsOf(next);
  const view = { from: old.place, to: next.place, ...summary, kept: flags.truth('keep'), faults };
  printValue(invocation, view, () => summaryText(view));
  return faults.length === 0 ? exitCodes.ok.code : exitCodes.failed.code;
};

class Interrupted extends Error {}

async function moveInto(url: string, source: DumpSource, { flags, io }: Invocation): Promise<MoveSummary> {
  const { openPostgresTarget } = await import('../../stores/postgres/index.js');
  const target = await openPostgresTarget({ url });
  let toldAtMs = performance.now();
  try {
    return await moveStore(source, target, ({ table, rows, checking }) => {
      if (io.signal.aborted) throw new Interrupted();
      if (flags.truth('json') || performance.now() - toldAtMs < tellEveryMs) return;
      toldAtMs = performance.now();
      io.err(`${checking ? 'checking' : 'moving'}  ${table}  ${rows}`);
    });
  } finally {
    await target.close();
  }
}

/** What the doctor finds in the new store: its invariants, and whether the youngest runs are what their events say. */
async function faultsOf({ factory }: StoreChoice): Promise<string[]> {
  const store = await factory.open();
  try {
    const { checks } = await createEngine({ store, ports: nodePorts }).doctor();
    return checks.flatMap(({ property, violations }) =>
      violations.map(({ tenant, subject, detail }) => `${property}  ${tenant}  ${subject}  ${detail}`),
    );
  } finally {
    await store.close();
  }
}

interface MoveView extends MoveSummary {
  readonly from: string;
  readonly to: string;
  readonly kept: boolean;
  readonly faults: readonly string[];
}

function summaryText({ from, to, rows, unfinishedRuns, leases, kept, faults }: MoveView): string[] {
  return [
    ...renderTable(
      ['TABLE', 'ROWS'],
      dumpTables.map((table) => [table, String(rows[table])]),
    ),
    '',
    ...renderPairs([
      ['moved', `${from} to ${to}; every row was read back and compared`],
      ['unfinished runs', `${unfinishedRuns}; they go on when a server is started on the new store`],
      ...(leases === 0
        ? []
        : [['held tasks', `${leases}; their workers are taken for lost, which counts as an attempt`] as const]),
      ['old file', kept ? 'left as it was; do not serve both' : 'marked as moved; no server opens it any more'],
      ['doctor', faults.length === 0 ? 'all invariants hold' : `${faults.length} faults`],
    ]),
    ...faults,
  ];
}

/** Copies a SQLite store, while a server has it open or not. */
export const backup: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const given = required(flags, 'store');
  const { factory, place } = await existingStore(given, io);
  if (factory.name !== 'sqlite') {
    const reason = 'Only a SQLite file is copied by this command; for PostgreSQL see docs/guides/backup.md.';
    throw new SpineError('COMMAND_INVALID', { reason });
  }
  const to = resolve(io.folder, words.one('file'));
  const { bytes } = await backupSqlite({ file: place, to });
  printValue(invocation, { store: place, file: to, bytes }, () => [`${to}  ${bytes} bytes`]);
  return exitCodes.ok.code;
};

/** Says of a store that it was put back from a backup which does not say so itself. */
export const restored: CommandRun = async (invocation) => {
  const { flags, io } = invocation;
  const given = required(flags, 'store');
  const { factory, place } = await existingStore(given, io);
  if (factory.name === 'sqlite') await markSqliteRestored({ file: place });
  else await (await import('../../stores/postgres/index.js')).markPostgresRestored({ url: given });
  printValue(invocation, { store: place, restored: true }, () => [
    `${place}  is taken for restored; the next server that opens it goes on above all numbers given since the backup`,
  ]);
  return exitCodes.ok.code;
};

function required(flags: Flags, name: string): string {
  const value = flags.text(name);
  if (value === undefined) throw new SpineError('COMMAND_INVALID', { reason: `--${name} is missing.` });
  return value;
}
