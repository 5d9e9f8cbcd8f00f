/**
 * The seam between the client's surface and the way to an engine. Over HTTP both halves are requests; in the embedded
 * facade intake goes straight to the engine, so that starting a run costs no HTTP, while everything else takes the
 * same handlers as the network. Invariant: a caller cannot tell the two apart but by speed.
 */
import type { Problem, PublishItemAnswer, StartAnswer } from '../protocol/http.js';
import type { Transport } from './transport.js';

/** One run to start. */
export interface StartItem {
  readonly input: unknown;
  /** Undefined = the caller gave none; a way over which answers get lost makes one of its own. */
  readonly idempotencyKey: string | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly priority: number | undefined;
  readonly delayMs?: number | undefined;
  /** ISO 8601. */
  readonly startAt?: string | undefined;
  /** URL that is told of the end; absent = none. */
  readonly notify?: string;
  /** A read token that is to come with the answer, where that saves a request; absent = none. */
  readonly readTokenMs?: number;
}

/** What became of one run to start, in the order asked. */
export type StartItemAnswer = StartAnswer | { readonly error: Problem };

/** What became of a run that was started and waited for. */
export type WaitedAnswer =
  | { readonly tag: 'pending'; readonly answer: StartAnswer }
  | { readonly tag: 'output'; readonly run: string; readonly output: unknown }
  | { readonly tag: 'failed'; readonly run: string; readonly error: Error };

/** An event in the JSON format of CloudEvents 1.0; extension attributes are further members. */
export interface CloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  readonly time?: string;
  readonly datacontenttype?: string;
  readonly dataschema?: string;
  /** CloudEvents partitioning extension: events with one key stay in order. */
  readonly partitionkey?: string;
  readonly data?: unknown;
  readonly [extension: string]: unknown;
}

/** How a client reaches an engine. `tx` = a transaction of the caller, which only its own process can take part in. */
export interface Gateway {
  /** Starts runs; rejects only where nothing is known about any of them. */
  startRuns(
    workflow: string,
    items: readonly StartItem[],
    signal?: AbortSignal,
    tx?: unknown,
  ): Promise<readonly StartItemAnswer[]>;
  /** Starts one run and waits up to `waitMs` for its end. */
  startAndWait(workflow: string, item: StartItem, waitMs: number, signal?: AbortSignal): Promise<WaitedAnswer>;
  /** Publishes events of one topic, in order. */
  publish(
    topic: string,
    events: readonly CloudEvent[],
    signal?: AbortSignal,
    tx?: unknown,
  ): Promise<readonly PublishItemAnswer[]>;
  /** Everything else. */
  readonly transport: Transport;
}
