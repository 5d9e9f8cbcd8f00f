// A worker process. `worker.mjs <url>`.
import { createWorker } from '../../../dist/worker/index.js';
import { app } from './app.mjs';

const worker = createWorker({ app, url: process.argv[2], slots: 16 });
await worker.start();
process.on('SIGTERM', () => void worker.drain().then(() => process.exit(0)));
console.log('ready');
