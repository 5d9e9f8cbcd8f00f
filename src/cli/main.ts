#!/usr/bin/env node
/** The program `eventspine`: binds the command line to the process. */
import { once } from 'node:events';
import { addAbortSignal } from 'node:stream';
import { text } from 'node:stream/consumers';
import { commands } from './commands.js';
import { readEnvironment } from './environment.js';
import { exitCodes } from './exit-codes.js';
import type { Io } from './io.js';
import { runCli } from './run-cli.js';

/** Time for what is still open to close by itself after a command has ended. */
const lingerMs = 5_000;

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Whoever asks twice does not want to wait for a drain.
    if (stopping.signal.aborted) process.exit(exitCodes.interrupted.code);
    stopping.abort(new Error(signal));
  });
}
// A reader that has seen enough (`| head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok.code);
  throw error;
});
// With nobody left to tell, a drain still has work to give back.
process.stderr.on('error', () => undefined);

/** Ends early, and quietly, when the command is to stop. */
async function* inputPieces(): AsyncGenerator<string> {
  try {
    for await (const piece of addAbortSignal(stopping.signal, process.stdin.setEncoding('utf8'))) yield String(piece);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
  }
}

const io: Io = {
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
  terminal: process.stdout.isTTY === true,
  columns: process.stdout.columns ?? 80,
  folder: process.cwd(),
  environment: readEnvironment(),
  readInput: () => text(process.stdin),
  inputPieces,
  outHasRoom: async () => {
    if (!process.stdout.writableNeedDrain) return;
    // Whoever stops the command does not wait for a reader either.
    await once(process.stdout, 'drain', { signal: stopping.signal }).catch(() => undefined);
  },
  signal: stopping.signal,
};

process.exitCode = await runCli(process.argv.slice(2), commands, io);
// User code may hold sockets and timers that never end; what this process was for is over. The timer itself holds nothing.
setTimeout(() => process.exit(), lingerMs).unref();
