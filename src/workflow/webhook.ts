/**
 * Sources of webhooks as values: who sends, how it proves that, and the topic that its events go to. Making one opens nothing,
 * and says nothing of secrets: those are given to the installation.
 */
import {
  badName,
  namePattern,
  readWebhook,
  webhookOptionNames,
  type WebhookOptions,
  type WebhookSource,
} from '../core/webhooks/source.js';
import { OptionFaults } from './options.js';
import type { Topic } from './topic.js';

/** What a source of webhooks in code is made of. */
export interface WebhookDefinition extends WebhookOptions {
  /** The topic that its events are published to. */
  readonly topic: Topic;
}

/** A source of webhooks that an app brings along. */
export interface Webhook<Name extends string = string> {
  readonly kind: 'webhook';
  readonly name: Name;
  readonly topic: Topic;
  readonly spec: WebhookSource;
}

/**
 * Defines a source of webhooks, for `defineApp({ webhooks })`: `POST /v1/webhooks/{tenant}/{name}` takes them, once the tenant
 * has given a secret. Fails with OPTIONS_INVALID, naming all faults.
 */
export function webhook<const Name extends string>(name: Name, options: WebhookDefinition): Webhook<Name> {
  const faults = new OptionFaults(`webhook "${name}"`);
  faults.unknownNames(options, [...webhookOptionNames, 'topic']);
  if (!namePattern.test(name)) faults.add(badName);
  const { topic, ...rest } = options;
  const found: unknown = topic;
  const isTopic = (found as { readonly kind?: unknown } | null | undefined)?.kind === 'topic';
  if (!isTopic) faults.add('topic must be a topic');
  else if (topic.writer === 'single') faults.add('topic has a single writer, which is none of its own');
  const spec = readWebhook(name, isTopic ? topic.name : '', rest, (fault) => faults.add(fault));
  faults.throwIfAny();
  return { kind: 'webhook', name, topic, spec };
}
