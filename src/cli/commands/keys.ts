/** `eventspine keys`: API keys of a server, or of a store that nobody serves yet, so that there can be a first one. */
import { type Client, createClient, type KeysApi, type RotateOptions } from '../../client/index.js';
import { createEngine } from '../../engine/index.js';
import type { KeyView, MadeKeyView } from '../../protocol/http.js';
import { nodePorts } from '../../runtime/index.js';
import { createServer } from '../../server/index.js';
import type { CommandRun, Invocation } from '../command.js';
import { type ExitCode, exitCodes } from '../exit-codes.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { chooseStore } from '../store-choice.js';
import { renderPairs } from '../table.js';
import { ago } from '../words.js';
import { take } from './runs.js';

/** Lists keys, without their texts. */
export const listKeys: CommandRun = (invocation) =>
  withKeys(invocation, async (keys) => {
    const { flags } = invocation;
    const now = Date.now();
    printList(invocation, await take(keys.list(), flags.number('limit') ?? 50), {
      header: ['KEY', 'STATE', 'ROLES', 'MAY', 'EXPIRES', 'USED'],
      row: (key) => [
        key.name,
        key.state,
        key.roles.join(', '),
        key.permissions?.join(', ') ?? 'everything',
        key.expiresAt ?? 'never',
        ago(key.lastUsedAt, now),
      ],
      empty: 'There are no API keys. `eventspine keys create` makes one.',
    });
  });

/** Shows a key. */
export const showKey: CommandRun = (invocation) =>
  withKeys(invocation, async (keys) => {
    const key = await keys.get(invocation.words.one('key'));
    printValue(invocation, key, () => renderPairs(pairsOf(key)));
  });

/** Makes a key and prints its text. */
export const createKey: CommandRun = (invocation) =>
  withKeys(invocation, async (keys) => {
    const { flags, words } = invocation;
    const [roles, permissions, clearances] = [flags.list('role'), flags.list('allow'), flags.list('clearance')];
    const expires = flags.text('expires');
    const made = await keys.create(words.one('key'), {
      roles,
      ...(permissions.length === 0 ? {} : { permissions }),
      ...(clearances.length === 0 ? {} : { clearances }),
      ...(expires === undefined ? {} : { expires: expires as 'never' }),
    });
    printMade(invocation, made);
  });

/** Gives a key another text and prints that. */
export const rotateKey: CommandRun = (invocation) =>
  withKeys(invocation, async (keys) => {
    const { flags, words } = invocation;
    const overlap = flags.text('overlap');
    const options: RotateOptions = {
      ...(overlap === undefined ? {} : { overlap: overlap as '1h' }),
    };
    printMade(invocation, await keys.rotate(words.one('key'), options));
  });

/** Ends a key. */
export const revokeKey: CommandRun = (invocation) =>
  withKeys(invocation, async (keys) => {
    const key = await keys.revoke(invocation.words.one('key'));
    printValue(invocation, key, () => [`${key.name} is revoked; within two seconds no server accepts it.`]);
  });

/** The text on the standard output and everything else beside it, so that a script can keep the one and a person reads the other. */
function printMade(invocation: Invocation, made: MadeKeyView): void {
  printValue(invocation, made, () => [made.key]);
  if (invocation.flags.truth('json')) return;
  for (const line of renderPairs(pairsOf(made))) invocation.io.err(line);
  invocation.io.err('Keep the text above; it is not shown again.');
}

function pairsOf(key: KeyView): (readonly [string, string])[] {
  return [
    ['key', key.name],
    ['id', key.id],
    ['tenant', key.tenant],
    ['state', key.state],
    ['roles', key.roles.join(', ') || 'none'],
    ['may', key.permissions?.join(', ') ?? 'everything within the tenant'],
    ...(key.clearances === null ? [] : [['sees', key.clearances.join(', ')] as const]),
    ['made', `${key.createdAt} by ${key.createdBy}`],
    ['expires', key.expiresAt ?? 'never'],
    ...(key.revokedAt === null ? [] : [['revoked', `${key.revokedAt} by ${key.revokedBy ?? ''}`] as const]),
    ...(key.formerUntil === null ? [] : [['former text', `accepted until ${key.formerUntil}`] as const]),
    ['last used', key.lastUsedAt ?? 'never'],
  ];
}

/** Does something with the keys of a server, or with `--store` of a store. */
async function withKeys(invocation: Invocation, act: (keys: KeysApi) => Promise<void>): Promise<ExitCode> {
  const given = invocation.flags.text('store');
  if (given === undefined) await act(clientFor(invocation).keys);
  else await withStore(invocation, given, async ({ keys }) => act(keys));
  return exitCodes.ok.code;
}

/**
 * The same requests as to a server, answered in this process: whoever may open the store may do everything in it. The
 * engine is not started, so nothing else happens meanwhile.
 */
async function withStore(
  { flags, io }: Invocation,
  given: string,
  act: (client: Client) => Promise<void>,
): Promise<void> {
  const tenant = flags.text('tenant');
  const { factory } = await chooseStore({ given, defaultFile: given, databaseUrl: false }, io);
  const store = await factory.open();
  try {
    const server = createServer({
      engine: createEngine({ store, ports: nodePorts }),
      authorize: () => ({ tenant: 'default', user: 'command line', roles: ['operator', 'worker', 'admin'] }),
    });
    const fetch: typeof globalThis.fetch = (input, init) => server.fetch(new Request(input, init));
    try {
      await act(createClient({ url: 'http://localhost', fetch, ...(tenant === undefined ? {} : { tenant }) }));
    } finally {
      await server.close();
    }
  } finally {
    await store.close();
  }
}
