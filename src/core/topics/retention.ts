/**
 * What a topic keeps: how long, how much, and of each key how many. Nothing here is a promise to delete at once: what is
 * over its bound goes within a round or two of upkeep.
 */

/** Whether events wait for the subscriptions that are behind (`hold`), or go all the same and are missed (`gap`). */
export type BehindPolicy = 'hold' | 'gap';

/** Bounds of one partition of one tenant; the oldest events go first. null = no such bound. */
export interface TopicRetention {
  readonly ageMs: number | null;
  /** Envelopes and payloads as stored. */
  readonly bytes: number | null;
  readonly events: number | null;
  readonly behind: BehindPolicy;
}

/** Only the newest event of each key stays; one without data says that its key is no more. */
export interface TopicCompaction {
  /** An event is this old before it may give way to a later one of its key. */
  readonly lagMs: number;
  /** How long an event without data stays, so that readers learn of it. */
  readonly tombstoneMs: number;
}

/** Entries that say what is left of partitions: key = `topic/partition`, ref = `low`, value = JSON of `TopicLow`. */
export const topicLowSpace = 'topic-low';

/** What retention and compaction have done to a partition. */
export interface TopicLow {
  /** Every event with a lower offset is gone. Those that compaction takes leave it where it is. */
  readonly low: number;
  /** Events below this offset have been measured; those of them that are left have so many bytes. */
  readonly measured: number;
  readonly bytes: number;
  /** Below this offset no key is there twice, save for events that were too young. */
  readonly clean: number;
}

export const untouched: TopicLow = { low: 0, measured: 0, bytes: 0, clean: 0 };

/** The state of a partition out of its entry. */
export function topicLowOf(value: string | undefined): TopicLow {
  return value === undefined ? untouched : { ...untouched, ...(JSON.parse(value) as Partial<TopicLow>) };
}
