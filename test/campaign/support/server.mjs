// One of several servers, with short patience, so that tests need not wait long for the dead.
// `server.mjs <database url or file> <host> <port>`. EVENTSPINE_BUILD names the folder of another build than that of this checkout.
const build = process.env.EVENTSPINE_BUILD ?? new URL('../../../dist/', import.meta.url).href;
const { createEngine } = await import(`${build}engine/index.js`);
const { nodePorts } = await import(`${build}runtime/index.js`);
const { createServer } = await import(`${build}server/index.js`);

const [, , database, host, port] = process.argv;

const store = await opened();
const engine = createEngine({
  store,
  ports: nodePorts,
  settings: { sessionDeadMs: 1_500, sessionBeatMs: 300, upkeepEveryMs: 1_000 },
  log: (record) => console.error(JSON.stringify({ at: Date.now(), ...record })),
});
// The database may have gone again since: whoever looks after a server starts it anew.
await engine.start().catch(failed);
const everybody = { user: 'campaign', roles: ['operator', 'worker'] };
const authorize = ({ headers }) => ({ ...everybody, tenant: headers.get('x-tenant') ?? 'default' });
const server = createServer({ engine, host, port: Number(port), authorize });
const { url } = await server.listen();
void store.failed.then(failed);
let ending = false;
process.on('SIGTERM', () => {
  if (ending) return;
  ending = true;
  void server
    .close()
    .then(() => engine.stop())
    .then(() => process.exit(0));
});
console.log(`ready ${url}`);

function failed(error) {
  console.error(`failed: ${String(error)}`);
  process.exit(3);
}

/** Whatever starts a server in production would start it again until the database is there. */
async function opened() {
  for (;;) {
    try {
      return await open();
    } catch (error) {
      console.error(String(error), error.data?.reason ?? '');
      // Waiting changes nothing about that.
      if (error.code === 'STORE_TOO_NEW') process.exit(4);
      await new Promise((wake) => setTimeout(wake, 200));
    }
  }
}

async function open() {
  if (!database.startsWith('postgres'))
    return (await import(`${build}stores/sqlite/index.js`)).openSqliteStore({ file: database });
  const { openPostgresStore } = await import(`${build}stores/postgres/index.js`);
  return openPostgresStore({ url: database, statementMs: 3_000, lockMs: 2_000, queryMs: 4_000, connectMs: 2_000 });
}
