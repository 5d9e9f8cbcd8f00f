/** The schemas in order of their numbers; the schema of a database is the count of those applied to it. */
import { initialSchema } from './0001-initial.js';
import { outboxSchema } from './0002-outbox.js';
import { entriesSchema } from './0003-entries.js';
import { schedulesSchema } from './0004-schedules.js';
import { indexesSchema } from './0005-indexes.js';

/** Each gives its SQL for the schema of the given (quoted) name. */
export const migrations: readonly ((schema: string) => string)[] = [
  initialSchema,
  outboxSchema,
  entriesSchema,
  schedulesSchema,
  indexesSchema,
];

/**
 * The lowest schema whose programs may still open a database of the newest one: all that came since only adds to what they
 * use. A schema that takes something away, or changes what it means, raises this to its own number.
 */
export const worksFrom = 2;
