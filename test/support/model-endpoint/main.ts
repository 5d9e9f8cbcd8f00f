/** The test endpoint as a process of its own: prints its URL as one line of JSON and serves until it is ended. */
import { startModelEndpoint } from './endpoint.js';
import type { Script } from './script.js';

const [script = '{}', port = '0'] = process.argv.slice(2);
const endpoint = await startModelEndpoint(JSON.parse(script) as Script, Number(port));
process.stdout.write(`${JSON.stringify({ url: endpoint.url })}\n`);
