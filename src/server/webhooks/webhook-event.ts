/**
 * From a webhook that is believed to the event that it becomes: the body is read within the bounds of every body, and the map
 * of its source says what goes where.
 *
 * Invariant: two requests are one event where their delivery is the same, and only there.
 */
import { encodeValue, payloadOfJson } from '../../core/codec.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { filled, readTemplate, type Template, valueOf, type WebhookMap } from '../../core/webhooks/mapping.js';
import { mapsOfSchemes, type WebhookSource } from '../../core/webhooks/source.js';
import type { PublishRequest } from '../../engine/api.js';
import { decodeUtf8, parseJson } from '../../protocol/json-body.js';
import { nodePorts } from '../../runtime/index.js';
import type { GenuineWebhook } from '../../webhooks/index.js';
import { invalid } from '../api-request.js';

/** A request as it came. */
export interface WebhookContent {
  readonly header: (name: string) => string | null;
  readonly bytes: Uint8Array;
}

/** A body as it was read: JSON, fields of a form, text; or bytes that are no text. */
export type WebhookBody = { readonly value: unknown } | { readonly bytes: Uint8Array };

const jsonTypes = /^(?:application|text)\/(?:[\w.+-]{1,80}\+)?json$/;
const formType = 'application/x-www-form-urlencoded';
const formFieldsMax = 1_000;

/** Reads the body by its content type. @throws BODY_NOT_JSON, VALUE_UNSTORABLE, REQUEST_INVALID */
export function readBody({ header, bytes }: WebhookContent): WebhookBody {
  if (bytes.byteLength === 0) return { value: null };
  const type = (header('content-type') ?? 'application/json').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (jsonTypes.test(type)) return { value: parseJson(bytes) };
  const text = decodeUtf8(bytes);
  if (text === null) return { bytes };
  return { value: type === formType ? formOf(text) : text };
}

/** The fields of a form. One that is the whole event as JSON, as GitHub and Slack send it, counts as that. */
function formOf(text: string): unknown {
  const fields = new Map<string, string | string[]>();
  let count = 0;
  for (const [name, value] of new URLSearchParams(text)) {
    if (++count > formFieldsMax) throw invalid(`the form has more than ${formFieldsMax} fields`);
    const before = fields.get(name);
    fields.set(name, before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value]);
  }
  const payload = fields.get('payload');
  if (fields.size === 1 && typeof payload === 'string') return parseJson(Buffer.from(payload));
  return Object.fromEntries(fields);
}

interface Templates {
  readonly id: Template | null;
  readonly type: Template | null;
  readonly key: Template | null;
  readonly subject: Template | null;
  readonly data: Template | null;
}

/** Sources are values that stay for a second or longer, and their templates with them. */
const templates = new WeakMap<WebhookSource, Templates>();

function templatesOf(source: WebhookSource): Templates {
  const known = templates.get(source);
  if (known !== undefined) return known;
  const map: WebhookMap = { ...mapsOfSchemes[source.scheme.kind], ...source.map };
  const read = (text: string | undefined): Template | null => (text === undefined ? null : readTemplate(text));
  const made = {
    id: read(map.id),
    type: read(map.type),
    key: read(map.key),
    subject: read(map.subject),
    data: read(map.data),
  };
  templates.set(source, made);
  return made;
}

/** The event of a request that is believed. @throws VALUE_UNSTORABLE */
export function eventOf(
  source: WebhookSource,
  genuine: GenuineWebhook,
  content: WebhookContent,
  body: WebhookBody,
): PublishRequest {
  const map = templatesOf(source);
  const parts = { header: content.header, body: 'value' in body ? body.value : null };
  const textOf = (template: Template | null): string | undefined =>
    template === null ? undefined : filled(template, parts) || undefined;
  const value = map.data === null ? parts.body : (valueOf(map.data, parts) ?? null);
  const type = textOf(map.type);
  const key = textOf(map.key);
  const subject = textOf(map.subject);
  const isBytes = 'bytes' in body && map.data === null;
  return {
    topic: source.topic,
    id: deliveryId(source, textOf(map.id) ?? genuine.id, genuine, content),
    source: `eventspine:webhook:${source.name}`,
    type: type === undefined ? source.topic : bounded(type, limits.nameLengthMax),
    ...(key === undefined ? {} : { key: bounded(key, limits.keyLengthMax) }),
    ...(subject === undefined ? {} : { subject: bounded(subject, limits.keyLengthMax) }),
    ...(genuine.atMs === null ? {} : { time: isoOf(genuine.atMs) }),
    ...(isBytes ? { data: encodeValue(body.bytes) } : { data: payloadOfJson(value), value }),
  };
}

/** The sender's id, or what was sent: then its time counts too, so that two equal bodies of different times are two. */
function deliveryId(
  { once }: WebhookSource,
  id: string | null,
  { atMs }: GenuineWebhook,
  { bytes }: WebhookContent,
): string {
  if (once === 'content' || id === null) return `sha256:${nodePorts.hash.sha256(`${atMs ?? ''}.`, bytes)}`;
  return bounded(id, limits.keyLengthMax / 2);
}

/** A text that fits; of one that does not, what stands for it and for no other. */
function bounded(text: string, lengthMax: number): string {
  const isUsable = text.length <= lengthMax && !/[\0-\x1f\x7f\p{Surrogate}]/u.test(text);
  return isUsable ? text : `sha256:${nodePorts.hash.sha256(text)}`;
}
