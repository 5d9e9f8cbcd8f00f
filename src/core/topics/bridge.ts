/**
 * What a bridge is: it brings the messages of a topic of a bus outside into a topic of ours, or the events of a topic of ours
 * out to one of the bus. Defined by operators, in a file that servers are started with.
 *
 * Invariant: the position of a bridge stands behind a message only when the message is in our store, in the transition
 * that moved it, as an event, as one that was there already, or as a dead event; and behind an event of ours only when
 * the bus has taken it, or it is a dead event.
 */

interface BridgeBase {
  readonly name: string;
  /** The bus, by its name in the file. */
  readonly bus: string;
  readonly tenant: string;
  /** The topic of ours. */
  readonly topic: string;
  /** The topic of the bus. */
  readonly outside: string;
  /** Messages in one batch. */
  readonly batchMax: number;
  /** Topic of ours that is told of its dead events; absent = none. Carried out by a bridge of its own, it is a mirror for others. */
  readonly dead?: string;
}

export interface InboundBridge extends BridgeBase {
  readonly direction: 'in';
  /** The group on the bus, whose members share the messages: every server that has the bridge is one. */
  readonly group: string;
  /** Where it begins where neither our store nor the bus has a position of it. */
  readonly from: 'oldest' | 'newest';
  /** What it takes: CloudEvents alone, or any JSON, which gets an id by its position. */
  readonly accepts: 'cloudevents' | 'json';
}

export interface OutboundBridge extends BridgeBase {
  readonly direction: 'out';
  /** Where it begins where it has no position yet. */
  readonly from: 'oldest' | 'newest';
  /** How messages carry events. */
  readonly mode: 'binary' | 'structured';
  /** Partitions that the topic of the bus is made with, where it is not there; null = it has to be there. */
  readonly partitions: number | null;
}

export type Bridge = InboundBridge | OutboundBridge;

/** Where a bus is, and what its adapter is told beside that. */
export interface BusPlaceSpec {
  readonly url: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** What a file of bridges says. */
export interface BridgeFile {
  readonly buses: Readonly<Record<string, BusPlaceSpec>>;
  readonly bridges: readonly Bridge[];
}

/**
 * Entries of positions: key = name of the bridge, value = JSON of `BridgePosition`. ref = `topicId/partition` of the bus for
 * what comes in (the topic's name where it has no id), `topic/partition` of ours for what goes out.
 */
export const bridgeOffsetSpace = 'bridge-offset';

/** How far a bridge is in a partition. */
export interface BridgePosition {
  /** Offset of the next message, or event, as a decimal text: those of buses have 64 bits. */
  readonly next: string;
}
