/**
 * A source of webhooks: who sends, how it proves that, and which topic its events go to. Read out of what people write, in
 * code or over HTTP, with all faults at once. Secrets are no part of it.
 */
import { limits } from '../limits.js';
import { shown } from '../shown.js';
import { mapFaults, type WebhookMap } from './mapping.js';
import { schemeFaults, type WebhookScheme } from './scheme.js';

/** Schemes that need nothing said but their names. */
export const plainSchemes = ['standard', 'svix', 'github', 'stripe', 'slack'] as const;

/** A source as people write it; its topic stands beside it. */
export interface WebhookOptions {
  /** `standard`, `svix`, `github`, `stripe`, `slack`, or a scheme with its options. */
  readonly scheme: (typeof plainSchemes)[number] | WebhookScheme;
  /** Which parts of a request become which parts of the event. */
  readonly map?: WebhookMap;
  /**
   * What is the same delivery. Default `id`: the sender's id of it, where there is one. `content`: the same bytes, also under
   * another id: for senders that sign neither id nor time, and never send two equal bodies.
   */
  readonly once?: 'id' | 'content';
}

export const webhookOptionNames = ['scheme', 'map', 'once'] as const;

/** A source as it is kept. */
export interface WebhookSource {
  readonly name: string;
  readonly topic: string;
  readonly scheme: WebhookScheme;
  /** Absent = as the scheme has it. */
  readonly map?: WebhookMap;
  /** Absent = `id`. */
  readonly once?: 'content';
}

/** Reads options that may be anything, and hands each fault to `add`; with faults, the result is of no use. */
export function readWebhook(
  name: string,
  topic: string,
  given: { readonly [K in keyof WebhookOptions]?: unknown },
  add: (fault: string) => void,
): WebhookSource {
  const { scheme: written, map, once = 'id' } = given;
  const scheme = typeof written === 'string' ? { kind: written } : written;
  const isPlain = typeof written !== 'string' || (plainSchemes as readonly string[]).includes(written);
  if (!isPlain) add(`scheme is ${shown(written)}; by name there are ${plainSchemes.join(', ')}`);
  else schemeFaults(scheme).forEach(add);
  if (map !== undefined) mapFaults(map).forEach(add);
  if (once !== 'id' && once !== 'content') add('once is neither id nor content');
  return {
    name,
    topic,
    scheme: scheme as WebhookScheme,
    ...(map === undefined ? {} : { map: map as WebhookMap }),
    ...(once === 'content' ? { once } : {}),
  };
}

/** What is wrong with a source of a manifest. */
export function sourceFaults(value: unknown): string[] {
  const { name, topic, ...rest } = value as Readonly<Record<string, unknown>>;
  const faults: string[] = [];
  if (typeof name !== 'string' || !namePattern.test(name)) faults.push(badName);
  if (typeof topic !== 'string' || topic === '' || topic.length > limits.nameLengthMax)
    faults.push('topic is not the name of a topic');
  const unknown = Object.keys(rest).filter((field) => !(webhookOptionNames as readonly string[]).includes(field));
  if (unknown.length > 0) faults.push(`${unknown[0]?.slice(0, 40)} is not a field`);
  if (typeof rest['scheme'] === 'string') faults.push('scheme is not an object');
  readWebhook(String(name), String(topic), rest, (fault) => faults.push(fault));
  return faults;
}

/** A name is a part of the address that a sender is given, so it has nothing that would have to be escaped there. */
export const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
export const badName = 'the name has not 1 to 100 letters, digits, ".", "-" and "_" with a letter or digit first';

/** What a sender gives where the source does not say otherwise. */
export const mapsOfSchemes: Readonly<Record<WebhookScheme['kind'], WebhookMap>> = {
  standard: { type: '{body.type}' },
  svix: { type: '{body.type}' },
  github: { type: '{headers.x-github-event}' },
  stripe: { id: '{body.id}', type: '{body.type}' },
  slack: { id: '{body.event_id}', type: '{body.event.type}' },
  hmac: {},
  'http-signature': {},
};
