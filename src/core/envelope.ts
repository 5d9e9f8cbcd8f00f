/**
 * The envelope of an event: everything but the payload, serialised once and stored as these very bytes, so that the
 * ledger can hash what was written and not what somebody would write again.
 */
import type { CodecName } from './payload.js';

export interface Envelope {
  /** Format of the envelope. */
  readonly v: 1;
  readonly tenant: string;
  /** Run id, or `topic/partition` for an event of a topic. */
  readonly stream: string;
  /** Position in the run, from 1; 0 for events of topics, whose offset is given by the store. */
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  /** Epoch ms on the store's clock. */
  readonly at: number;
  /** Hybrid logical clock: 16 hex digits, 48 bits of ms and 16 of counter; sorts as text. */
  readonly hlc: string;
  /** Who caused it: `client:<name>`, `worker:<id>`, `engine`. */
  readonly actor: string;
  /** Id of the event that caused this one. */
  readonly cause: string | null;
  /** Id shared by all that follows from one request. */
  readonly correlation: string | null;
  readonly traceparent: string | null;
  /** Schema of the payload, as `name@hash`. */
  readonly schema: string | null;
  readonly region: string;
  /** Epoch of the writer: rises each time a server takes ownership of the store. */
  readonly epoch: number;
  readonly data: unknown;
  /** Attributes of a CloudEvent that have no field here. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  readonly payload: PayloadSeal | null;
}

export interface PayloadSeal {
  readonly codec: CodecName;
  /** Bytes as stored. */
  readonly size: number;
  /** sha-256, hex, over salt and stored bytes: binds the event to its payload and reveals nothing once both are erased. */
  readonly commitment: string;
  /** Key of an encrypted payload; null while none is. */
  readonly keyId: string | null;
}
