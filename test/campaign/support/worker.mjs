// A worker that knows all servers. `worker.mjs <url>...`; APP names another app than that of the folder.
const { app } = await import(process.env.APP ?? './app.mjs');
const build = process.env.EVENTSPINE_BUILD ?? new URL('../../../dist/', import.meta.url).href;
const { createWorker } = await import(`${build}worker/index.js`);

const worker = createWorker({
  app,
  url: process.argv.slice(2),
  slots: 16,
  log: (record) => console.error(JSON.stringify({ at: Date.now(), ...record })),
});
process.on('SIGTERM', () => void worker.drain().then(() => process.exit(0)));
console.log('ready');
// The servers may not be there yet; the app is known to them from earlier lives or from other workers.
await worker.start();
console.log('connected');
const error = await worker.stopped;
console.error(`stopped: ${String(error)}`);
process.exit(error === null ? 0 : 1);
