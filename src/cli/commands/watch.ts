/** `eventspine runs watch`: the events of a run as they happen. */
import type { RunEventView, RunViewState } from '../../protocol/http.js';
import type { CommandRun } from '../command.js';
import { type ExitCode, exitCodes } from '../exit-codes.js';
import { clientFor } from '../server-client.js';
import { plainText } from '../table.js';

/** Follows a run until it ends; the exit code is that of its outcome. */
export const watchRun: CommandRun = async (invocation) => {
  const { io, flags, words } = invocation;
  const cursor = flags.text('cursor');
  const stream = clientFor(invocation)
    .run(words.one('run'))
    .stream({ signal: io.signal, ...(cursor === undefined ? {} : { cursor }) });
  try {
    for await (const item of stream) {
      if (flags.truth('json')) io.out(JSON.stringify(item));
      else if (item.event === 'event') io.out(eventText(item.data));
      else if (item.event === 'gap') io.out(`          events ${item.data.from} to ${item.data.to} are gone`);
      else io.out(`          ${item.event === 'end' ? 'ended: ' : 'now '}${item.data.state}`);
      if (item.event === 'end') return codeOfState(item.data.state);
    }
    return exitCodes.ok.code;
  } catch (error) {
    if (io.signal.aborted) return exitCodes.interrupted.code;
    throw error;
  }
};

/** Scripts that wait for a run want to know how it ended. */
export function codeOfState(state: RunViewState): ExitCode {
  return state === 'succeeded' ? exitCodes.ok.code : exitCodes.failed.code;
}

/** One line: number, time, type, and what it is about. */
export function eventText(event: RunEventView): string {
  const data = (event.data ?? {}) as Readonly<Record<string, unknown>>;
  const facts = ['path', 'capability', 'topic', 'attempt', 'winner', 'reason', 'code'].flatMap((name) => {
    const value = data[name];
    const shown = typeof value === 'string' || (typeof value === 'number' && value !== 1);
    return shown ? [name === 'path' ? String(value) : `${name}=${String(value)}`] : [];
  });
  const failure = data['failure'] as { readonly class?: unknown; readonly message?: unknown } | undefined;
  if (failure !== undefined) facts.push(`${String(failure.class)}: ${String(failure.message)}`);
  if (event.type === 'progress.reported') facts.push(JSON.stringify(event.payload));
  const time = event.at.slice(11, 23);
  return plainText(`${String(event.seq).padStart(5)}  ${time}  ${event.type.padEnd(20)} ${facts.join('  ')}`).trimEnd();
}
