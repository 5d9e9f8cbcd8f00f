/**
 * The messages of live sockets (`GET /v1/live`): many streams of runs and topics over one WebSocket. Each message is one
 * JSON text. What a subscription shows is what the route of its stream shows to the same caller.
 *
 * Invariant: after a `subscribe` come at most one `subscribed`, then messages, then exactly one of `refused` and `closed`;
 * until then its name stands for nothing else.
 */
import type { Problem, StreamEvent, TopicStreamEvent } from './http.js';

/** Sub-protocol of WebSockets: browsers, which can send no header, ask for it and send their token as the first message. */
export const liveSubprotocol = 'eventspine.live.1';

/** What clients send. */
export type LiveRequest = LiveAuth | LiveSubscribe | LiveUnsubscribe;

/** The credential of the socket from now on, as in `Authorization: Bearer`. Not needed where the upgrade has brought one. */
export interface LiveAuth {
  readonly t: 'auth';
  readonly token: string;
}

/** Opens a stream: of a run or of a topic, with the parameters of its route. */
export interface LiveSubscribe {
  readonly t: 'subscribe';
  /** Chosen by the client; names the stream in all that follows. */
  readonly sub: string;
  readonly run?: string;
  readonly topic?: string;
  /** Go on after this one. */
  readonly cursor?: string;
  /** The following four of a topic: which events, and where to begin without a cursor. */
  readonly partitions?: readonly number[];
  readonly key?: string;
  readonly from?: 'newest' | 'oldest';
  readonly at?: string;
  /** A credential for this stream alone, e.g. the read token of its run or topic. */
  readonly token?: string;
}

export interface LiveUnsubscribe {
  readonly t: 'unsubscribe';
  readonly sub: string;
}

/** What servers send. */
export type LiveMessage =
  /** First. A socket that says nothing for longer than some beats is dead. */
  | { readonly t: 'hello'; readonly protocol: 1; readonly beatMs: number; readonly subscriptionsMax: number }
  /** The token of an `auth` stands for somebody. */
  | { readonly t: 'authenticated' }
  | { readonly t: 'beat' }
  | { readonly t: 'subscribed'; readonly sub: string }
  | ({ readonly t: 'message'; readonly sub: string; readonly cursor: string | null } & (StreamEvent | TopicStreamEvent))
  /** There is no such stream for this caller, for now or for good. Without a name: the socket itself, which is then closed. */
  | { readonly t: 'refused'; readonly sub: string | null; readonly problem: Problem }
  /** The stream is over. `done`: nothing comes after; else it may be subscribed to again from the last cursor. */
  | { readonly t: 'closed'; readonly sub: string; readonly done: boolean; readonly reason: string | null };
