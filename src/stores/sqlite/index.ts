/** The embedded store: one SQLite file, one writer thread, one owner. */
export { createSqliteMemoryStore } from './memory.js';
export { openSqliteStore, sqlite, type SqliteOptions } from './open.js';
