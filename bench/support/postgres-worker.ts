/** A worker of the given servers, in a process of its own: `postgres-worker.ts <url> ...`; says when it is ready. */
import { createWorker } from 'eventspine/worker';
import { app } from './soak-app.js';

const worker = createWorker({ app, url: process.argv.slice(2) });
await worker.start();
process.send?.('ready');
process.on('SIGTERM', () => void worker.stop().then(() => process.exit(0)));
