/** Shapes of the API as the client hands them out, named for use here. */
import type { DeadLettersApi, RunsApi, RunStreamItem } from 'eventspine/client';
import type { z } from 'zod';
import type { completedAnalysis } from '../shapes.ts';

export type RunView = Awaited<ReturnType<RunsApi['get']>>;
export type RunViewState = RunView['state'];
export type RunEventView = Extract<RunStreamItem, { event: 'event' }>['data'];
export type DeadLetterView = Awaited<ReturnType<DeadLettersApi['get']>>;
/** Result of a run of `answer`. */
export type Answer = z.infer<typeof completedAnalysis>;
