/**
 * P11 and P19 for streams: offsets are dense over all attempts and attempts only rise; within an attempt the chunks are of
 * one execution, in order, each once; and those of an effect that has succeeded are all there before its success.
 */
import { readRunEvent } from '../../../engine/events/rows.js';
import type { EventRow, Violation } from '../../../store/index.js';
import type { History } from '../history.js';
import { effectsOfProgram } from '../program.js';

interface Stream {
  next: number;
  attempt: number;
  /** Number of the execution that writes the attempt. */
  mark: number;
  written: number;
}

/** Every breach. */
export function checkStreams(history: History): Violation[] {
  const violations: Violation[] = [];
  for (const [key, rows] of history.final?.histories ?? []) {
    const [tenant = '', subject = ''] = key.split('/');
    const report = (detail: string): void => {
      violations.push({ property: 'P19', tenant, subject, detail });
    };
    const program = history.programs.get(key);
    const expected = new Map(
      (program === undefined ? [] : effectsOfProgram(program)).map(({ name, chunks }) => [name, chunks]),
    );
    const streams = new Map<string, Stream>();
    // Models speak in texts, which name no execution.
    const inferences = new Set(
      program?.nodes.flatMap((node) => (node.op === 'infer' ? [node.name, `${node.name}/again:1`] : [])),
    );
    for (const row of rows) {
      const { event } = readRunEvent(row);
      const isText = inferences.has('path' in event.data ? (event.data.path ?? '') : '');
      if (event.type === 'stream.appended' && !isText) append(streams, event.data, row, report);
      if (event.type !== 'step.completed' && event.type !== 'call.completed') continue;
      const { path } = event.data;
      const written = streams.get(path)?.written ?? 0;
      const due = expected.get(path) ?? 0;
      if (written !== due) report(`${path} has succeeded with ${written} chunks of ${due} (event ${event.seq})`);
    }
  }
  return violations;
}

function append(
  streams: Map<string, Stream>,
  data: { readonly path: string; readonly attempt: number; readonly offset: number; readonly count: number },
  row: EventRow,
  report: (detail: string) => void,
): void {
  const { path, attempt, offset, count } = data;
  const stream = streams.get(path) ?? { next: 0, attempt, mark: 0, written: 0 };
  streams.set(path, stream);
  if (offset !== stream.next) report(`${path} goes on at ${offset} where ${stream.next} is due (event ${row.seq})`);
  if (attempt < stream.attempt) report(`${path} goes back to attempt ${attempt} from ${stream.attempt}`);
  if (attempt > stream.attempt) Object.assign(stream, { attempt, mark: 0, written: 0 });
  stream.next = offset + count;
  const text = row.payload !== null && 'text' in row.payload ? row.payload.text : '[]';
  const chunks = JSON.parse(text) as readonly (readonly [mark: number, i: number])[];
  if (chunks.length !== count) report(`${path} has ${chunks.length} chunks in event ${row.seq}, which says ${count}`);
  for (const [mark, i] of chunks) {
    if (stream.mark === 0) stream.mark = mark;
    if (mark !== stream.mark) report(`${path} mixes what two executions have written in attempt ${attempt}`);
    if (i !== stream.written) report(`${path} has chunk ${i} of attempt ${attempt} where ${stream.written} is due`);
    stream.written = i + 1;
  }
}
