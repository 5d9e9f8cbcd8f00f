/**
 * The types that a client takes out of an app. The app itself is never imported, only its type, so a browser bundle
 * holds nothing of it.
 */
import type { AnyApp, InputOf, OutputOf, TopicDataOf, TopicNameOf, WorkflowNameOf } from '../workflow/index.js';
import type { JsonOf } from './json-of.js';

/** Stands for "no app given": every name is a string and every value is unknown. */
export type UntypedApp = AnyApp;

/** Names of the workflows that a client may start. */
export type WorkflowFor<App> = unknown extends App ? string : WorkflowNameOf<App>;

/** What a client gives to start a workflow. */
export type InputFor<App, Name extends string> = Name extends WorkflowNameOf<App> ? InputOf<App, Name> : unknown;

/** What a client gets as the result of a run: the output as plain JSON. */
export type ResultFor<App, Name extends string> =
  Name extends WorkflowNameOf<App> ? JsonOf<OutputOf<App, Name>> : unknown;

/** Names of the topics that an app declares; others may be published to as well, without a check of the data. */
export type TopicFor<App> = TopicNameOf<App> | (string & Record<never, never>);

/** What a client gives to publish to a topic. */
export type TopicDataFor<App, Name extends string> = Name extends TopicNameOf<App> ? TopicDataOf<App, Name> : unknown;
