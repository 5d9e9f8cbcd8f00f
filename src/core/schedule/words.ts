/** The closed sets of words that describe a schedule. Apart from what reads them, so that no browser loads a cron parser. */

/** What becomes of ticks that nobody could see to in their time: left out, the latest one, or all within a bound. */
export const catchUps = ['none', 'one', 'all'] as const;
/** What becomes of ticks that nobody could see to in their time: left out, the latest one, or all within a bound. */
export type CatchUp = (typeof catchUps)[number];

/** What becomes of a tick while an earlier run of the schedule has not ended. */
export const overlaps = ['skip', 'allow', 'queue', 'cancel'] as const;
/** What becomes of a tick while an earlier run of the schedule has not ended. */
export type Overlap = (typeof overlaps)[number];
