/** The client's surface for subscriptions: what there is, how far it is behind, and what is done to it. */
import type { StartOption, SubscriptionOptions } from '../core/topics/subscription-options.js';
import type {
  CommandAnswer,
  ReplayAnswer,
  SeekAnswer,
  SubscriptionDetail,
  SubscriptionView,
} from '../protocol/http.js';
import { pathOf } from '../protocol/route-paths.js';
import { consumersOver, type ConsumersApi } from './consumers.js';
import { type CallOptions, command, get } from './run-handle.js';
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

/** A subscription as it is asked for: its topic, and how its events are wanted. */
export interface SubscriptionRequest extends SubscriptionOptions {
  /** Name of the topic. */
  readonly topic: string;
  /** Name of the topic that is told of its dead events. Default: none. */
  readonly dead?: string;
}

/** Durable cursors over topics. SUBSCRIPTION_NOT_FOUND. */
export interface SubscriptionsApi extends ConsumersApi {
  /** By name. */
  list(options?: CallOptions): Promise<readonly SubscriptionView[]>;
  /** With its partitions and consumers. */
  get(name: string, options?: CallOptions): Promise<SubscriptionDetail>;
  /** Makes one whose events are pulled, or changes it. SUBSCRIPTION_INVALID, SUBSCRIPTION_OWNED, TOPIC_UNKNOWN. */
  put(name: string, subscription: SubscriptionRequest, options?: CallOptions): Promise<SubscriptionDetail>;
  /** Removes one that was made, with its cursors. SUBSCRIPTION_OWNED. */
  delete(name: string, options?: CallOptions): Promise<void>;
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
    ...consumersOver(transport),
    list: async (options) =>
      (await transport.json<{ readonly items: readonly SubscriptionView[] }>(get(pathOf('listSubscriptions'), options)))
        .items,
    get: (name, options) => transport.json(get(pathOf('readSubscription', { name }), options)),
    put: (name, subscription, options) =>
      transport.json({ ...command(pathOf('putSubscription', { name }), subscription, true, options), method: 'PUT' }),
    delete: (name, options) =>
      transport.exchange(
        { ...get(pathOf('deleteSubscription', { name }), options), method: 'DELETE', repeatable: false },
        () => undefined,
      ),
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
