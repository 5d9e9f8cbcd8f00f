/** Shapes of the API as the client hands them out, named for use here. */
import type { DeadLettersApi, RunsApi, RunStreamItem } from 'eventspine/client';

export type RunView = Awaited<ReturnType<RunsApi['get']>>;
export type RunViewState = RunView['state'];
export type RunEventView = Extract<RunStreamItem, { event: 'event' }>['data'];
export type DeadLetterView = Awaited<ReturnType<DeadLettersApi['get']>>;
