/**
 * What every part of one engine shares: its store, its ports, its settings and the writer of envelopes.
 */
import type { BreakerRule } from '../core/models/breaker.js';
import type { Ports } from '../core/ports.js';
import type { Store } from '../store/contract.js';
import type { EnvelopeWriter } from './events/envelope-writer.js';

export interface EngineContext {
  readonly store: Store;
  readonly ports: Ports;
  readonly settings: EngineSettings;
  readonly envelopes: EnvelopeWriter;
  readonly log: EngineLog;
  /** Hands a fault of a background duty to the log; never throws. */
  fault(what: string, error: unknown): void;
}

/** When the feed is folded, and when a checkpoint of that is left. */
export interface FleetPace {
  /** Pause between two rounds. Default 1 s. */
  readonly everyMs: number;
  /** A checkpoint is left after so many events, or after so long where there were any. More often = answers come quicker, and take more room. */
  readonly checkpointEvents: number;
  readonly checkpointEveryMs: number;
  /** How far back the past can be asked for: older checkpoints are dropped as new ones are left. Default 30 days. */
  readonly keptMs: number;
}

export interface EngineSettings {
  /** Name of the region in envelopes. */
  readonly region: string;
  /** A worker session is dead when its heartbeat has not moved for this long. Shorter = faster recovery, more false alarms. */
  readonly sessionDeadMs: number;
  readonly sessionBeatMs: number;
  /** Ready work that nobody takes for this long makes the engine not ready. */
  readonly stuckAfterMs: number;
  /** Pause between rounds of upkeep (retention, orphaned leases). */
  readonly upkeepEveryMs: number;
  readonly dedupeTtlMs: number;
  /**
   * Bound of one encoded value that is kept as a blob. Higher lets steps and calls return more, and costs memory: about five
   * times as much while one passes. `limits.valueBytesCeiling` is as high as it goes; more counts as that.
   */
  readonly valueBytesMax: number;
  /** Schedules that one tenant may have by the API. */
  readonly schedulesPerTenantMax: number;
  /** Answers of models that are kept of one tenant, and their size together; the oldest go first. */
  readonly predictionsPerTenantMax: number;
  readonly predictionBytesPerTenantMax: number;
  /** When breakers of model endpoints open, and for how long. Default `defaultBreakerRule`: 5 s, doubling up to 5 min. */
  readonly breaker: BreakerRule;
  /** When the feed is folded for what the fleet was at earlier times; null = never, and nothing is kept of it. */
  readonly fleet: FleetPace | null;
  /** How often due timers and ready work are looked for, though they are told of anyway. null = 1 s, and less for timers on a shared store. */
  readonly lookEveryMs: number | null;
}

export interface EngineLogRecord {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields?: Readonly<Record<string, unknown>>;
}

export type EngineLog = (record: EngineLogRecord) => void;
