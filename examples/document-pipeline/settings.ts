/**
 * Where a worker finds the model endpoint and the index. Read on use: importing the definitions opens and needs nothing.
 */
import { join } from 'node:path';

/** Settings of a worker of this example. */
export interface Settings {
  /** Base URL of the model endpoint, ending in `/v1`. */
  readonly modelUrl: string;
  /** Folder of the search index. */
  readonly indexFolder: string;
}

/** Settings of this process: `DEMO_MODEL_URL` and `DEMO_INDEX`, as the demo sets them for its workers. */
export function settings(): Settings {
  const modelUrl = process.env['DEMO_MODEL_URL'];
  if (modelUrl === undefined) throw new Error('DEMO_MODEL_URL is not set: no model endpoint is known to this worker.');
  return { modelUrl, indexFolder: process.env['DEMO_INDEX'] ?? join('.eventspine', 'demo', 'index') };
}
