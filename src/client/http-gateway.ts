/**
 * Intake over HTTP. Every request carries something that makes a repeat harmless (an idempotency key, event ids), so
 * all of it may be sent again after a lost answer. Invariant: one item in, one answer out, in order.
 */
import { clientError } from '../core/client-errors.js';
import { clientLimits } from '../core/client-limits.js';
import type { BatchStartAnswer, PublishAnswer, PublishItemAnswer, StartAnswer } from '../protocol/http.js';
import { headerNames, pathOf } from '../protocol/route-paths.js';
import type { Gateway, StartItem, StartItemAnswer, WaitedAnswer } from './gateway.js';
import { randomId } from './random-id.js';
import { isRemoteError, RemoteError } from './remote-error.js';
import type { ApiRequest, Transport } from './transport.js';

const json = 'application/json';

/** How long an answer may take beyond the wait that was asked for. */
const waitSlackMs = 10_000;

/** Intake over a transport. */
export function httpGateway(transport: Transport): Gateway {
  return {
    transport,

    async startRuns(workflow, given, signal, tx) {
      refuseTransaction(tx);
      const items = given.map(keyed);
      const [only] = items;
      if (only !== undefined && items.length === 1 && fitsHeader(only.idempotencyKey)) {
        return [await startOne(workflow, only, signal)];
      }
      const answers: StartItemAnswer[] = [];
      for (const body of bodiesOf(items.map(batchItem))) {
        const path = pathOf('startRuns', { name: workflow });
        const answer = await transport.json<BatchStartAnswer>({ ...post(path, body, json), signal });
        answers.push(...answer.items);
      }
      return answers;
    },

    async startAndWait(workflow, given, waitMs, signal): Promise<WaitedAnswer> {
      const item = keyed(given);
      if (!fitsHeader(item.idempotencyKey)) {
        const [answer] = await this.startRuns(workflow, [item], signal);
        return { tag: 'pending', answer: startedOf(answer) };
      }
      const request = startRequest(workflow, item);
      const waiting: ApiRequest = {
        ...request,
        headers: { ...request.headers, [headerNames.prefer]: preferOf(request, `wait=${Math.ceil(waitMs / 1_000)}`) },
        timeoutMs: waitMs + waitSlackMs,
        signal,
      };
      try {
        return await transport.exchange(waiting, async (response): Promise<WaitedAnswer> => {
          if (response.status === 202) return { tag: 'pending', answer: (await response.json()) as StartAnswer };
          return { tag: 'output', run: runOf(response.headers.get('location')), output: await response.json() };
        });
      } catch (error) {
        // The run exists and has ended badly: that is its outcome, not a failure to start it.
        if (isRemoteError(error) && error.problem.run !== undefined && isOutcome(error.code)) {
          return { tag: 'failed', run: error.problem.run, error };
        }
        throw error;
      }
    },

    async publish(topic, events, signal, tx) {
      refuseTransaction(tx);
      const path = pathOf('publishEvents', { topic });
      const [only] = events;
      const requests =
        only !== undefined && events.length === 1
          ? [post(path, JSON.stringify(only), 'application/cloudevents+json')]
          : bodiesOf(events).map((body) => post(path, body, 'application/cloudevents-batch+json'));
      const answers: PublishItemAnswer[] = [];
      for (const request of requests) {
        answers.push(...(await transport.json<PublishAnswer>({ ...request, signal })).items);
      }
      return answers;
    },
  };

  async function startOne(
    workflow: string,
    item: KeyedItem,
    signal: AbortSignal | undefined,
  ): Promise<StartItemAnswer> {
    try {
      return await transport.json<StartAnswer>({ ...startRequest(workflow, item), signal });
    } catch (error) {
      if (isRemoteError(error)) return { error: error.problem };
      throw error;
    }
  }
}

/** To leave it out in silence would be to record what may be rolled back. */
function refuseTransaction(tx: unknown): void {
  if (tx !== undefined) throw clientError('TRANSACTION_UNSUPPORTED', { where: 'A client over HTTP' });
}

/** The run of an answer to a start, or the problem thrown. */
export function startedOf(answer: StartItemAnswer | undefined): StartAnswer {
  if (answer === undefined) throw new Error('Invariant broken: the server answered fewer items than were sent.');
  if ('error' in answer) throw new RemoteError(answer.error);
  return answer;
}

/** True for the codes with which a run, and not the request, has failed. */
export function isOutcome(code: string): boolean {
  return code === 'RUN_FAILED' || code === 'RUN_REFUSED' || code === 'RUN_CANCELLED';
}

/** JSON arrays of the items, each within what a server takes in one request. */
function bodiesOf(items: readonly unknown[]): string[] {
  const encoder = new TextEncoder();
  const bodies: string[] = [];
  let texts: string[] = [];
  let bytes = 2;
  for (const item of items) {
    const text = JSON.stringify(item);
    const size = encoder.encode(text).length + 1;
    if (texts.length > 0 && (texts.length >= clientLimits.batchItemsMax || bytes + size > clientLimits.bodyBytesMax)) {
      bodies.push(`[${texts.join(',')}]`);
      texts = [];
      bytes = 2;
    }
    texts.push(text);
    bytes += size;
  }
  if (texts.length > 0) bodies.push(`[${texts.join(',')}]`);
  return bodies;
}

interface KeyedItem extends StartItem {
  readonly idempotencyKey: string;
}

/** The answer may get lost on its way back: what makes a repeat harmless is there before the first request. */
function keyed(item: StartItem): KeyedItem {
  return { ...item, idempotencyKey: item.idempotencyKey ?? randomId() };
}

/** True for text that a header can carry; other keys travel in the body of a batch. */
function fitsHeader(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

function startRequest(workflow: string, item: KeyedItem): ApiRequest {
  const path = pathOf('startRun', { name: workflow });
  return {
    ...post(path, JSON.stringify(item.input ?? null), json),
    query: {
      label: Object.entries(item.labels ?? {}).map(([name, value]) => `${name}:${value}`),
      priority: item.priority,
      delay: item.delayMs,
      startAt: item.startAt,
    },
    headers: {
      [headerNames.idempotencyKey]: quotedKey(item.idempotencyKey),
      ...(item.notify === undefined ? {} : { [headerNames.notify]: item.notify }),
      ...(item.readTokenMs === undefined
        ? {}
        : { [headerNames.prefer]: `read-token=${Math.floor(item.readTokenMs / 1_000)}` }),
    },
  };
}

/** A batch names the delay as an option does, and brings no tokens. */
function batchItem(item: KeyedItem): object {
  return { ...item, readTokenMs: undefined, delayMs: undefined, delay: item.delayMs };
}

/** What a request prefers already, and one thing more. */
function preferOf(request: ApiRequest, preference: string): string {
  const before = request.headers?.[headerNames.prefer];
  return before === undefined ? preference : `${before}, ${preference}`;
}

function post(path: string, body: string, contentType: string): ApiRequest {
  return { method: 'POST', path, body, contentType, repeatable: true };
}

/** A string of RFC 9651: what the draft of the Idempotency-Key header asks for. */
export function quotedKey(key: string): string {
  return `"${key.replace(/["\\]/g, '\\$&')}"`;
}

/** The run id at the end of a `Location`. */
function runOf(location: string | null): string {
  return decodeURIComponent(location?.split('/').at(-1) ?? '');
}
