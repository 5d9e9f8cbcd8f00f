/** What a case of the suite of buses is, and what it works with. */
import type { Bus, BusCaps } from '../../bus/port.js';

/** The topics of a place: how many partitions each is made with, where the bus has such. No case needs others. */
export const busTopics = { one: 1, three: 3, other: 1 } as const;

/**
 * What a place can do to a client or to the bus. What is absent, the suite names as left out. Each leaves other clients
 * of the same bus alone.
 */
export interface BusFaults {
  /** The client is gone without a word, as by SIGKILL: nothing is sent any more. Resolves when the bus knows. */
  readonly kill?: (bus: Bus) => Promise<void>;
  /** The bus does not hear the client and gives what it had to others; the answer undoes it. Its handlers go on. */
  readonly freeze?: (bus: Bus) => Promise<() => Promise<void>>;
  /** The bus refuses, once each, messages of these ids that this client publishes; sent again they would be taken. */
  readonly refuse?: (bus: Bus, ids: readonly string[]) => Promise<void>;
  /** The bus takes what this client publishes next, and the client does not hear of it. */
  readonly loseAnswer?: (bus: Bus) => Promise<void>;
  /** Removes the messages of a partition below an offset, as retention does. */
  readonly trim?: (topic: string, partition: number, below: bigint) => Promise<void>;
  /** Deletes a topic and makes it anew, empty. */
  readonly recreate?: (topic: string) => Promise<void>;
}

/** A bus for one case. */
export interface BusPlace {
  /** A client of its own, as another process would have. */
  open(): Promise<Bus>;
  /** What the names of the topics begin with: `<prefix>.one`, `.three`, `.other`. Another for each case on a bus that is shared. */
  readonly prefix: string;
  readonly faults: BusFaults;
  /** Removes what the place left behind; the clients are closed by then. */
  dispose(): Promise<void>;
}

/** What a case works with. */
export interface BusWorld {
  readonly bus: Bus;
  /** One more client; the suite closes it. */
  readonly open: () => Promise<Bus>;
  readonly topics: Readonly<Record<keyof typeof busTopics, string>>;
  readonly faults: Required<BusFaults>;
  /** How long anything may take. */
  readonly patienceMs: number;
}

/** One behaviour that every bus has, of which its `caps` say that it can. */
export interface BusCase {
  readonly concern: string;
  /** States the behaviour. */
  readonly name: string;
  /** Whether it speaks of a bus that can do this. Default: of any. */
  readonly of?: (caps: BusCaps) => boolean;
  /** What the place has to be able to do. */
  readonly fault?: keyof BusFaults;
  readonly run: (world: BusWorld) => Promise<void>;
}
