/**
 * Subscriptions as values: a durable cursor over a topic, with the workflow whose runs handle its events, or none where
 * consumers pull them. Making one opens nothing; a server sees to it.
 */
import {
  readSubscription,
  subscriptionOptionNames,
  type SubscriptionOptions,
} from '../core/topics/subscription-options.js';
import type { Subscription as SubscriptionSpec } from '../core/topics/subscription.js';
import { OptionFaults } from './options.js';
import type { Topic } from './topic.js';
import type { AnyWorkflow, Workflow } from './workflow.js';

/** What a subscription in code is made of. */
export interface SubscriptionDefinition<In = unknown, Taken = unknown> extends SubscriptionOptions {
  readonly topic: Topic<string, In>;
  /** The workflow that each event starts a run of; its input is the data of the event. Default: consumers pull the events. */
  readonly start?: Workflow<string, Taken>;
  /** Topic that is told of its dead letters. Default: none. */
  readonly dead?: Topic;
}

/** The workflow must take what the topic holds. */
type Fits<In, Taken> = [In] extends [Taken] ? unknown : { readonly start: Workflow<string, In> };

/** A subscription that an app brings along. */
export interface Subscription<Name extends string = string> {
  readonly kind: 'subscription';
  readonly name: Name;
  readonly topic: Topic;
  readonly start: AnyWorkflow | null;
  readonly dead: Topic | null;
  readonly spec: SubscriptionSpec;
}

/** Defines a subscription, for `defineApp({ subscriptions })`. Fails with OPTIONS_INVALID, naming all faults. */
export function subscription<const Name extends string, In, Taken>(
  name: Name,
  options: SubscriptionDefinition<In, Taken> & Fits<In, Taken>,
): Subscription<Name> {
  const faults = new OptionFaults(`subscription "${name}"`);
  faults.name(name);
  const { topic, start, dead, ...rest }: SubscriptionDefinition<In, Taken> = options;
  faults.unknownNames(options, [...subscriptionOptionNames, 'topic', 'start', 'dead']);
  if (kindOf(topic) !== 'topic') faults.add('topic must be a topic');
  if (start !== undefined && kindOf(start) !== 'workflow') faults.add('start must be a workflow');
  if (dead !== undefined && kindOf(dead) !== 'topic') faults.add('dead must be a topic');
  const ends = { topic: nameOf(topic) ?? '', workflow: nameOf(start), dead: nameOf(dead) };
  const spec = readSubscription(name, ends, rest, (fault) => faults.add(fault));
  faults.throwIfAny();
  return { kind: 'subscription', name, topic, start: start ?? null, dead: dead ?? null, spec };
}

function kindOf(value: unknown): unknown {
  return (value as { readonly kind?: unknown } | null | undefined)?.kind;
}

function nameOf(value: { readonly name: string } | undefined): string | null {
  return typeof value?.name === 'string' ? value.name : null;
}
