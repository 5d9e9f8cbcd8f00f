/** The server of the stream benchmark, in a process of its own; tells its URL, and its loop delay when asked. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createSpine } from 'eventspine';
import { sqlite } from 'eventspine/sqlite';
import { app } from './ticker-app.js';

const spine = createSpine(app, {
  store: sqlite({ file: process.argv[2] ?? 'streams.db' }),
  worker: false,
  server: { port: 0 },
});
const { url } = await spine.listen();
const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();
process.on('message', (message) => {
  if (message === 'reset') delay.reset();
  else
    process.send?.({ rssMegabytes: process.memoryUsage.rss() / 2 ** 20, loopDelayP99Ms: delay.percentile(99) / 1e6 });
});
process.on('SIGTERM', () => void spine.close().then(() => process.exit(0)));
process.send?.(url);
