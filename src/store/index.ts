/** The store contract, the rules every backend shares, and the in-memory store. */
export { dutyTtlFactor, entryConflict, entryKeyBytesMax, leasesOf, topicStream } from './contract.js';
export type {
  BlobWrite,
  ClaimRequest,
  ClaimedTask,
  DeadLetterQuery,
  DeadLetterRow,
  DeadLetterWrite,
  DedupeRow,
  DedupeWrite,
  EntryKey,
  EntryQuery,
  EntryRow,
  EntryWrite,
  EventQuery,
  EventRow,
  EventWrite,
  ExpireCounts,
  FeedKey,
  FeedKeys,
  LeaseKey,
  LeaveOutcome,
  ManifestRow,
  NewSession,
  NewTask,
  Outbox,
  OutboxEntry,
  Outcome,
  Page,
  PartitionHead,
  PartitionKey,
  QueueStats,
  RunKey,
  RunQuery,
  RunWrite,
  ScheduleQuery,
  ScheduleRow,
  ScheduleWrite,
  SessionBeat,
  SessionRow,
  Store,
  StoreListener,
  StoredPayload,
  TallyRow,
  TaskKey,
  TaskRow,
  TaskState,
  TaskWrite,
  TimerRow,
  TimerWrite,
  TopicEventWrite,
  TopicHead,
  Transition,
  Violation,
} from './contract.js';
export type { StoreFactory } from './factory.js';
export type {
  CallerTransaction,
  DrizzleTransaction,
  KyselyTransaction,
  PrismaTransaction,
  SqlTransaction,
} from './caller-transaction.js';
export { createMemoryStore, idleBlobKeptMs, memory, type MemoryStore, type MemoryStoreOptions } from './memory.js';
export {
  dumpBatchBlobsMax,
  dumpBatchRowsMax,
  dumpTables,
  findDifference,
  moveStore,
  type DumpBatch,
  type DumpHead,
  type DumpRows,
  type DumpSource,
  type DumpTable,
  type DumpTarget,
  type MoveListener,
  type MoveSummary,
} from './dump.js';
export { MemoryData, type BlobRow } from './memory-data.js';
export { restoreJump } from './restore-jump.js';
export { decodeCursor, encodeCursor, type CursorKind, type ListKey } from './cursor.js';
export { matchesRunQuery, runScanItemsMax } from './run-query.js';
export { findUnstorable, isColumnText, isWellFormedText } from './storable.js';
export { compareText } from './text-order.js';
export {
  kindCode,
  nameOf,
  payloadKind,
  runStatuses,
  stateCode,
  statusCode,
  tallyKind,
  tallyKinds,
  taskKinds,
  taskStates,
} from './codes.js';
export { newTaskRow } from './new-task-row.js';
