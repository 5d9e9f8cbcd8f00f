import { describe, expect, it } from 'vitest';
import { readWorkerMessage } from './worker-message.js';

const payload = { codec: 'json/1', text: '1' };

/** Reads a submission of one command as it comes from the network; what the engine gets of it, or why not. */
function sent(command: object): unknown {
  const message = { t: 'submit', items: [{ i: 1, assignment: 2, commands: [command] }] };
  const read = readWorkerMessage(new TextEncoder().encode(JSON.stringify(message)));
  if (!read.ok) return read.fault;
  if (read.refused.length > 0) return read.refused.map((one) => ('message' in one ? one.message : '')).join();
  return read.message.t === 'submit' ? read.message.items[0]?.commands[0] : null;
}

const ask = {
  model: 'm',
  fingerprint: 'a'.repeat(64),
  estimate: { inputTokens: 1, outputTokens: 2 },
  policy: ['fetch-by-id', 'retry'],
  streamed: true,
  deadlineMs: null,
};
const usage = { inputTokens: 3, cachedInputTokens: 1, outputTokens: 2 };
const outcome = { usage, costMicros: 5, finish: 'stop', durationMs: 7, firstPartMs: null, providerId: 'resp-1' };
const note = { confidence: 0.5, alternatives: [{ text: 'no', probability: 0.1 }], rules: [] };
const failure = { class: 'overloaded', code: 'BUSY', message: 'busy', retryable: true };
const retry = { attempts: 3, minMs: 0, maxMs: 10, factor: 2 };
const options = { detached: false, labels: { order: '17' }, priority: 5 };
const fit = [
  { op: 'append', path: 's', attempt: 1, from: 0, count: 2, chunks: payload },
  { op: 'appendTask', name: null, from: 0, count: 2, chunks: payload },
  { op: 'appendTask', name: 'notes', from: 4, count: 2, chunks: payload },
  { op: 'putContext', path: 'c', name: 'profile', key: '', version: null, value: payload },
  { op: 'useContext', path: 'c', name: 'profile', key: 'u1' },
  { op: 'startChild', path: 'child', workflow: 'w', input: payload, options },
  { op: 'cancelChild', path: 'child', reason: null },
  { op: 'wait', path: 'w', on: { kind: 'event', topic: 't', match: { id: '1' } }, timeoutMs: 5, request: null },
  { op: 'wait', path: 'w', on: { kind: 'signal', name: 'paid' }, timeoutMs: null, request: null },
  {
    op: 'wait',
    path: 'w',
    on: { kind: 'approval', title: 't', to: ['role:a'], escalations: [{ afterMs: 5, to: ['user:b'] }] },
    timeoutMs: null,
    request: payload,
  },
  { op: 'cancelWait', path: 'w' },
  { op: 'continueAsNew', input: payload },
  { op: 'infer', path: 'i', attempt: 1, ask, request: payload },
  { op: 'beginInference', path: 'i', attempt: 1 },
  { op: 'identifyInference', path: 'i', attempt: 1, providerId: 'resp-1' },
  { op: 'completeInference', path: 'i', attempt: 1, outcome, result: payload, note },
  { op: 'failInference', path: 'i', attempt: 1, failure, usage: null, costMicros: 0, retry },
  { op: 'settleAmbiguity', path: 'i', attempt: 1, policy: 'retry' },
] as const;

describe('commands of workers over the network', () => {
  it.each(fit.map((command) => [command.op, command] as const))('let %s through', (_, command) => {
    expect(sent(command)).toEqual(command);
  });

  it.each([
    ['a command that there is not', { op: 'reboot' }, 'there is no command "reboot"'],
    ['a child with labels that are none', { ...fit[5], options: { ...options, labels: { a: 1 } } }, '"options"'],
    ['a wait for something unknown', { ...fit[7], on: { kind: 'dream' } }, '"on"'],
    ['a match that is no text', { ...fit[7], on: { kind: 'event', topic: 't', match: { id: 1 } } }, '"on"'],
    [
      'an approval of nobody',
      { ...fit[9], on: { kind: 'approval', title: 't', to: [], escalations: [] } },
      '"on" of a command "wait" is not valid',
    ],
    ['a fingerprint that is none', { ...fit[12], ask: { ...ask, fingerprint: 'x' } }, '"ask"'],
    ['a policy that there is not', { ...fit[12], ask: { ...ask, policy: ['hope'] } }, '"ask"'],
    ['a fraction of money', { ...fit[15], outcome: { ...outcome, costMicros: 0.5 } }, '"outcome"'],
    ['a probability above one', { ...fit[15], note: { ...note, confidence: 2 } }, '"note"'],
    ['chunks before the first', { ...fit[0], from: -1 }, '"from"'],
  ])('take %s out', (_, command, text) => {
    expect(sent(command)).toContain(text);
  });
});
