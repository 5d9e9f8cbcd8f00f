/**
 * The types that a client takes out of an app. The app itself is never imported, only its type.
 */

/** Stands for "no app given": every name is a string and every value is unknown. */
export type AnyAppTypes = unknown;
export type WorkflowNameOf<App> = unknown extends App ? string : string;
export type WorkflowInputOf<App, Name> = [App, Name] extends [never, never] ? never : unknown;
export type WorkflowResultOf<App, Name> = [App, Name] extends [never, never] ? never : unknown;
export type TopicNameOf<App> = unknown extends App ? string : string;
export type TopicDataOf<App, Name> = [App, Name] extends [never, never] ? never : unknown;
