/**
 * A small MCP server on standard input and output, by the specification of 2025-06-18: a JSON-RPC message a line. It knows two
 * tools. `count` answers how often it was called under this idempotency key; `fail` says that it has failed; and `die` ends the
 * server in the middle of the call, the first time that the file given as argument is not there.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [mark] = process.argv.slice(2);
const keys = new Map();

const tools = [
  { name: 'count', description: 'Counts.', inputSchema: { type: 'object', properties: { by: { type: 'number' } } } },
  { name: 'fail', inputSchema: { type: 'object' } },
  { name: 'die', inputSchema: { type: 'object' } },
];

function call({ name, arguments: given, _meta }) {
  const key = _meta?.['eventspine/idempotency-key'] ?? '';
  keys.set(key, (keys.get(key) ?? 0) + 1);
  const text = (value) => ({ content: [{ type: 'text', text: value }] });
  if (name === 'count')
    return { ...text('counted'), structuredContent: { by: given.by ?? 1, times: keys.get(key), calls: keys.size } };
  if (name === 'fail') return { ...text('It cannot be done.'), isError: true };
  if (name === 'die') {
    if (existsSync(mark)) return text('alive');
    writeFileSync(mark, '');
    process.exit(1);
  }
  return null;
}

function answer({ method, params }) {
  if (method === 'initialize')
    return {
      result: {
        protocolVersion: params.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: 'test', version: '1' },
      },
    };
  if (method === 'tools/list') return { result: { tools } };
  const result = method === 'tools/call' ? call(params) : null;
  return result === null ? { error: { code: -32602, message: `There is no ${params?.name ?? method}.` } } : { result };
}

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line);
  if (message.id === undefined) continue;
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: message.id, ...answer(message) })}\n`);
}
