import { describe, expect, it } from 'vitest';
import { PartRelay } from './part-relay.js';

async function typesOf(stream: ReadableStream<unknown>, count: number): Promise<unknown[]> {
  const reader = stream.getReader();
  const types: unknown[] = [];
  for (let i = 0; i < count; i++) {
    const { done, value } = await reader.read();
    if (done) break;
    types.push((value as { readonly type: string }).type);
  }
  reader.releaseLock();
  return types;
}

const delta = (text: string): object => ({ type: 'text-delta', id: 't', delta: text });
const call = { type: 'tool-call', toolCallId: 'c', toolName: 'look', input: '{}' };
const finish = { type: 'finish', finishReason: 'stop', usage: {} };

describe('the relay of parts', () => {
  it('hands on text at once, and from the first tool call on only what is recorded', async () => {
    const relay = new PartRelay(() => undefined);
    for (const part of [delta('a'), call, delta('b'), finish]) relay.put(part, 1);
    const stream = await relay.open();
    expect(await typesOf(stream, 1)).toEqual(['text-delta']);
    const next = typesOf(stream, 9);
    expect(await Promise.race([next, new Promise((resolve) => setTimeout(resolve, 5, 'held'))])).toBe('held');
    relay.complete([delta('a'), call, delta('b'), finish]);
    expect(await next).toEqual(['tool-call', 'text-delta', 'finish']);
  });

  it('opens with the first part, and not at all where there is none', async () => {
    const relay = new PartRelay(() => undefined);
    const opened = relay.open();
    const early = await Promise.race([opened, new Promise((resolve) => setTimeout(resolve, 5, 'waits'))]);
    expect(early).toBe('waits');
    relay.fail(new Error('no answer'));
    await expect(opened).rejects.toThrow('no answer');
  });

  it('tells of an answer that is not what its reader has been given', async () => {
    let lost = 0;
    const relay = new PartRelay(() => (lost += 1));
    await Promise.all([relay.open(), Promise.resolve(relay.put(delta('a'), 1))]);
    relay.complete([delta('z'), finish]);
    expect(lost).toBe(1);
    expect(await typesOf(await relay.open(), 9)).toEqual(['text-delta', 'finish']);
  });

  it('does so at the first part of another attempt, and not before its reader was given anything', async () => {
    let lost = 0;
    const relay = new PartRelay(() => (lost += 1));
    relay.put(delta('a'), 1);
    relay.put(delta('a'), 2);
    expect(lost).toBe(0);
    await relay.open();
    relay.put(delta('a'), 3);
    expect(lost).toBe(1);
  });

  it('ends a stream that has begun with a part that says what went wrong', async () => {
    const relay = new PartRelay(() => undefined);
    relay.put(delta('a'), 1);
    const stream = await relay.open();
    relay.fail(new Error('gone'));
    expect(await typesOf(stream, 9)).toEqual(['text-delta', 'error']);
  });
});
