/** A client of an MCP server on standard input and output, in the shape of the TypeScript SDK's: as much of it as is called. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { McpSdkClient } from '../../../src/workflow/index.js';

const server = fileURLToPath(new URL('./server.mjs', import.meta.url));

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string };
}

/** Starts a server and shakes hands with it. */
export async function connectMcp(...args: readonly string[]): Promise<McpSdkClient & { close(): void }> {
  const child = spawn(process.execPath, [server, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const open = new Map<number, (reply: Reply) => void>();
  let ids = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const reply = JSON.parse(line) as Reply;
    open.get(reply.id)?.(reply);
    open.delete(reply.id);
  });
  child.on('exit', () => {
    for (const [id, told] of open) told({ id, error: { code: -32_000, message: 'Connection closed' } });
    open.clear();
  });
  child.stdin.on('error', () => undefined);
  const ask = async (method: string, params: unknown): Promise<unknown> => {
    const id = ++ids;
    const reply = await new Promise<Reply>((resolve) => {
      if (child.exitCode !== null) return resolve({ id, error: { code: -32_000, message: 'Connection closed' } });
      open.set(id, resolve);
      child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    });
    if (reply.error !== undefined) throw Object.assign(new Error(reply.error.message), { code: reply.error.code });
    return reply.result;
  };
  const clientInfo = { name: 'test', version: '1' };
  await ask('initialize', { protocolVersion: '2025-06-18', capabilities: {}, clientInfo });
  child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' })}\n`);
  return { callTool: (params) => ask('tools/call', params), close: () => void child.kill() };
}
