/** The embedded store: one SQLite file, one writer thread, one owner. */
export { backupSqlite, markSqliteRestored, type BackupOptions } from './backup.js';
export { openSqliteDump, type SqliteDump } from './dump.js';
export { createSqliteMemoryStore } from './memory.js';
export { openSqliteStore, sqlite, type SqliteOptions } from './open.js';
