/** The client's surface for subscriptions. */
import type { StartOption } from '../core/topics/subscription-options.js';
import type { CommandAnswer, ReplayAnswer, SeekAnswer } from '../protocol/http.js';
import { pathOf } from '../protocol/route-paths.js';
import { type CallOptions, command } from './run-handle.js';
import type { PauseOptions } from './schedules.js';
import type { Transport } from './transport.js';

/** Options of `subscriptions.seek`. */
export interface SeekOptions extends CallOptions {
  /** Default: all partitions. */
  readonly partition?: number;
}

/** Options of `subscriptions.replay`. */
export interface ReplayOptions extends CallOptions {
  /** Name of the subscription that is made for it. Default: a new one. */
  readonly into?: string;
  /** What handles the events. Default: what handles those of the subscription. */
  readonly workflow?: string;
  /** Only say what it would begin. Default false. */
  readonly dryRun?: boolean;
}

/** Durable cursors over topics. SUBSCRIPTION_NOT_FOUND. */
export interface SubscriptionsApi {
  /** Nothing of it begins after this, until it is resumed. What is under way goes on. */
  pause(name: string, options?: PauseOptions): Promise<CommandAnswer>;
  resume(name: string, options?: CallOptions): Promise<CommandAnswer>;
  /** Sets its cursors to another place: what lies behind it begins anew, what lies before it is left out. */
  seek(name: string, to: StartOption, options?: SeekOptions): Promise<SeekAnswer>;
  /**
   * Sends the events from a place to the end of the topic through a group of their own, with the filter and the order of the
   * subscription. SUBSCRIPTION_INVALID, WORKFLOW_UNKNOWN.
   */
  replay(name: string, from: StartOption, options?: ReplayOptions): Promise<ReplayAnswer>;
}

/** Subscriptions over a transport. */
export function subscriptionsOver(transport: Transport): SubscriptionsApi {
  return {
    pause: (name, options) => {
      const body = options?.reason === undefined ? {} : { reason: options.reason };
      return transport.json(command(pathOf('pauseSubscription', { name }), body, true, options));
    },
    resume: (name, options) =>
      transport.json(command(pathOf('resumeSubscription', { name }), undefined, true, options)),
    seek: (name, to, { partition, ...options } = {}) => {
      const body = { to, ...(partition === undefined ? {} : { partition }) };
      // Again after a lost answer it would begin anew what has begun since.
      return transport.json(command(pathOf('seekSubscription', { name }), body, false, options));
    },
    replay: (name, from, { into, workflow, dryRun = false, ...options } = {}) => {
      const body = {
        from,
        dryRun,
        ...(into === undefined ? {} : { into }),
        ...(workflow === undefined ? {} : { workflow }),
      };
      return transport.json(command(pathOf('replaySubscription', { name }), body, dryRun, options));
    },
  };
}
