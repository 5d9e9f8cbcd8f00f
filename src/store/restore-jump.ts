/**
 * How far numbers jump when a store was put back from a backup. What was handed out after the backup was taken is gone
 * from the store, but not from the world: a worker may still hold a lease, a server may still believe in its epoch, a
 * reader may have seen positions. Were those numbers given again, an old lease would fit a new one.
 *
 * Invariant: a store that was restored gives no epoch, token or position that it can have given after the backup.
 */

/**
 * What is added to each number: more than can have been given between a backup and its restore, and so little that a
 * store can be restored some thousand times (epochs end at 2^21, positions and tokens at 2^53).
 */
export const restoreJump = { epochs: 1_000, tokens: 1_000_000_000, positions: 1_000_000_000_000 } as const;
