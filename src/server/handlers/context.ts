/** What handlers share: the engine, the settings, and how addresses and ids are made. */
import type { AccessAction, AccessKind } from '../../core/access/permission.js';
import { SpineError } from '../../core/errors.js';
import { labelFaults } from '../../core/labels.js';
import type { CommandOutcome, Engine } from '../../engine/api.js';
import type { CommandAnswer, PageView, Problem, RunView } from '../../protocol/http.js';
import type { RouteId } from '../../protocol/routes.js';
import type { Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import type { ServerSettings } from '../options.js';
import type { LargeBodies } from '../transports/large-bodies.js';
import type { ReadTokens } from '../access/read-tokens.js';
import type { Streams } from '../streams/run-stream.js';
import type { WebhookTally } from '../webhooks/webhook-tally.js';

/** What the handlers of one clearance work with. The engine, here and in the settings, shows what it may be shown. */
export interface HandlerContext {
  readonly engine: Engine;
  readonly settings: ServerSettings;
  readonly streams: Streams;
  readonly tokens: ReadTokens;
  readonly large: LargeBodies;
  readonly webhooks: WebhookTally;
  /** The problem of an error; one that is not ours is logged under the reference. */
  readonly problemOf: (error: unknown, reference: string) => Problem;
}

export type Handler = (request: ApiRequest) => Answer | Promise<Answer>;

export type Handlers<Id extends RouteId> = { readonly [K in Id]: Handler };

/** A blob that is about to be sent; `onSent` says when it was. Fails with BLOB_NOT_FOUND, and STORE_BUSY where too much is held. */
export async function heldBlob(
  { engine, large }: HandlerContext,
  tenant: string,
  hash: string,
): Promise<{ readonly bytes: Uint8Array; readonly onSent: () => void }> {
  const bytes = await engine.readBlob(tenant, hash);
  if (bytes === null) throw new SpineError('BLOB_NOT_FOUND', { blob: hash });
  const share = large.share();
  if (!share.grow(bytes.byteLength)) throw new SpineError('STORE_BUSY', {});
  return { bytes, onSent: () => share.release() };
}

/** Addresses of a run under the base path. */
export function linksOf(basePath: string, run: string): RunView['links'] {
  const self = `${basePath}/v1/runs/${run}`;
  return { self, history: `${self}/history`, result: `${self}/result`, stream: `${self}/stream` };
}

/**
 * A page without what the caller may not have. It may be shorter than asked for, or empty with more to come, as pages are
 * where few match.
 */
export function shownOf<T>(
  { permit }: ApiRequest,
  page: PageView<T>,
  action: AccessAction | readonly AccessAction[],
  kind: AccessKind,
  nameOf: (item: T) => string | null,
): PageView<T> {
  if (permit.isWhole) return page;
  const items = page.items.filter((item) => {
    const name = nameOf(item);
    return name === null ? permit.allowsAll(action, kind) : permit.allows(action, kind, name);
  });
  return { ...page, items };
}

/** The id of the run in the path. Whatever cannot be an id is no run. */
export function runOf(request: ApiRequest): string {
  return request.segment('id');
}

/** The answer to a command; its error is thrown. */
export function commandAnswer(id: string, outcome: CommandOutcome): CommandAnswer {
  if (outcome.tag === 'error') throw outcome.error;
  return { id, outcome: outcome.tag };
}

/** The members of a JSON object. @throws REQUEST_INVALID */
export function membersOf(value: unknown, what: string, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(`${what} is not a JSON object`);
  const faults = Object.keys(value)
    .filter((name) => !known.includes(name))
    .map((name) => `${what} has no member "${name.slice(0, 40)}"; there are ${known.join(', ')}`);
  if (faults.length > 0) throw new SpineError('REQUEST_INVALID', { faults });
  return value as Readonly<Record<string, unknown>>;
}

/** Labels as a map of short texts. @throws REQUEST_INVALID */
export function checkedLabels(labels: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const faults = labelFaults(labels);
  if (faults.length > 0) throw new SpineError('REQUEST_INVALID', { faults });
  return labels as Readonly<Record<string, string>>;
}

/** A label given as `name:value`. @throws REQUEST_INVALID */
export function labelOf(text: string): { readonly name: string; readonly value: string } {
  const colon = text.indexOf(':');
  if (colon < 1) throw invalid(`label "${text.slice(0, 40)}" is not name:value`);
  return { name: text.slice(0, colon), value: text.slice(colon + 1) };
}
