import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSseParser, type SseEvent } from './sse.js';

function parse(...pieces: string[]): { events: SseEvent[]; retries: number[] } {
  const events: SseEvent[] = [];
  const retries: number[] = [];
  const feed = createSseParser({ onEvent: (event) => events.push(event), onRetry: (ms) => retries.push(ms) });
  for (const piece of pieces) feed(piece);
  return { events, retries };
}

describe('createSseParser', () => {
  it('reads event, data and id, and keeps the id for the events that follow', () => {
    expect(parse('event: state\nid: c1\ndata: {}\n\ndata: x\n\n').events).toEqual([
      { event: 'state', data: '{}', id: 'c1' },
      { event: 'message', data: 'x', id: 'c1' },
    ]);
  });

  it('joins several data lines, drops one leading space only and ignores comments', () => {
    expect(parse(': hello\ndata:  a\ndata:b\n\n').events).toEqual([{ event: 'message', data: ' a\nb', id: null }]);
  });

  it('hands out nothing for a block without data and nothing for what is incomplete at the end', () => {
    expect(parse('event: end\n\ndata: lost').events).toEqual([]);
  });

  it('takes the reconnection time only where it is a whole number', () => {
    expect(parse('retry: 2500\nretry: soon\n\n').retries).toEqual([2500]);
  });

  it('skips a byte order mark at the start', () => {
    expect(parse('\uFEFFdata: x\n\n').events).toHaveLength(1);
  });

  it('gives the same events however the text is cut and whatever ends the lines', () => {
    const text = ['event: event', 'id: a', 'data: é1', 'data: 2', '', ': beat', '', 'event: end', 'data: {}', '', ''];
    fc.assert(
      fc.property(
        fc.constantFrom('\n', '\r', '\r\n'),
        fc.array(fc.nat({ max: 80 }), { maxLength: 12 }),
        (lineEnd, cuts) => {
          const whole = text.join(lineEnd);
          const places = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b), whole.length];
          const pieces = places.slice(1).map((to, i) => whole.slice(places[i], to));
          expect(parse(...pieces).events).toEqual(parse(text.join('\n')).events);
        },
      ),
    );
  });
});
