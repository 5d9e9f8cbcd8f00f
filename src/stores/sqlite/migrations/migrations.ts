/** The schemas in order of their numbers; the schema of a file is the count of those applied to it. */
import { initialSchema } from './0001-initial.js';
import { entriesSchema } from './0002-entries.js';
import { schedulesSchema } from './0003-schedules.js';

export const migrations: readonly string[] = [initialSchema, entriesSchema, schedulesSchema];
