/**
 * The two topics by which all processes of an installation know of each other's strangled routes: what they have done, and what they
 * are told to do. An app that wants either declares them: `defineApp({ topics: [...strangleTopics] })`.
 */
import { fromJsonSchema, topic } from '../workflow/index.js';
import type { ReportPart } from './report.js';

/** What a process publishes: a part of the report of one route, and whose it is. */
export interface StrangleReported extends ReportPart {
  /** Of the process. */
  readonly process: string;
  /** What held when it was published: shares of what is declared. */
  readonly order: { readonly async: number; readonly mirror: number };
  /** The part begins here and ends with the event, ISO 8601. */
  readonly from: string;
}

/** What all processes with a route are told. */
export interface StrangleOrdered {
  readonly name: string;
  /** Of the requests that are declared to go the event way, this share does: 0 = none, 1 = all. */
  readonly async: number;
  /** Of those that are declared to be mirrored, this share is. */
  readonly mirror: number;
  readonly reason?: string;
}

const share = { type: 'number', minimum: 0, maximum: 1 };

/** Reports, kept for 30 days. */
export const strangleReports = topic('strangle.reports', {
  schema: fromJsonSchema<StrangleReported>({
    type: 'object',
    required: ['name', 'process', 'order', 'from', 'tallies', 'durations', 'differences'],
    properties: {
      name: { type: 'string', minLength: 1 },
      process: { type: 'string' },
      from: { type: 'string' },
      order: { type: 'object', required: ['async', 'mirror'], properties: { async: share, mirror: share } },
      tallies: { type: 'object', additionalProperties: { type: 'number' } },
      durations: {
        type: 'object',
        additionalProperties: { type: 'array', items: { type: 'array', items: { type: 'number' } } },
      },
      differences: {
        type: 'array',
        items: {
          type: 'object',
          required: ['path', 'kind', 'count', 'run'],
          properties: {
            path: { type: 'string' },
            kind: { enum: ['missing', 'added', 'type', 'value'] },
            count: { type: 'number' },
            run: { type: 'string' },
          },
        },
      },
    },
  }),
  key: 'name',
  retention: { age: '30d' },
});

/** Orders, of each route the newest. */
export const strangleOrders = topic('strangle.orders', {
  schema: fromJsonSchema<StrangleOrdered>({
    type: 'object',
    required: ['name', 'async', 'mirror'],
    properties: { name: { type: 'string', minLength: 1 }, async: share, mirror: share, reason: { type: 'string' } },
  }),
  key: 'name',
  compact: true,
});

/** Both of them. */
export const strangleTopics = [strangleReports, strangleOrders] as const;
