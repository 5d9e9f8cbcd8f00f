/** The bounds that clients keep by themselves, so that these alone go into users' pages. All of them are in `limits`. */
export const clientLimits = {
  /** An HTTP request body. */
  bodyBytesMax: 4 * 1024 * 1024,
  /** Items in one batch request. */
  batchItemsMax: 1_000,
  /** How long a question to an agent waits for its answer, unless its options say otherwise. */
  askTimeoutMs: 5 * 60_000,
} as const;
