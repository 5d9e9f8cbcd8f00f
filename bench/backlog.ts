/**
 * Whether a backlog slows the queue: runs/s of one worker process out of an almost empty queue, and out of a million.
 * Uses the peers' runner with our adapter, so that the figures compare with theirs.
 *
 *   npm run bench -- backlog [rounds=2] [b=1000000] [ours=eventspine-postgres]
 */
const options = process.argv.slice(2);
process.argv = [
  process.argv[0] ?? '',
  process.argv[1] ?? '',
  'tests=drain,backlog',
  'peers=',
  ...(options.length > 0 ? options : ['rounds=2']),
];
await import('./peers/main.js');
