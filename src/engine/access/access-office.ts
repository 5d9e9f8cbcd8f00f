/**
 * The record of access: events of the topic `eventspine.access`, in the tenant of whoever has asked, or in that of the
 * installation where nobody is known. Servers write it; nobody else can publish to the topic.
 */
import type { AccessRecord } from '../../core/access/record.js';
import { payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { accessTopic } from '../../core/manifest.js';
import type { AccessEventView, PageView, TopicEventView } from '../../protocol/http.js';
import type { Transition } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { systemTenant } from '../system-tenant.js';
import { preparePublication } from '../topics/publication.js';

/** A record, and whose it is; null = of nobody who is known. */
export interface TenantRecord {
  readonly tenant: string | null;
  readonly record: AccessRecord;
}

export interface AccessOfficeOptions {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  /** Is told of what was published. */
  readonly published: (transitions: readonly Transition[]) => void;
  /** Events of a topic, as they are shown. */
  readonly read: (
    tenant: string,
    topic: string,
    query: { readonly partition: number; readonly after: number; readonly limit: number },
  ) => Promise<{ readonly items: readonly TopicEventView[] }>;
}

function viewOf({ event }: TopicEventView): AccessEventView {
  // Nobody else writes them.
  return { id: String(event['id']), at: String(event['time']), ...(event['data'] as AccessRecord) };
}

export class AccessOffice {
  readonly #options: AccessOfficeOptions;

  constructor(options: AccessOfficeOptions) {
    this.#options = options;
  }

  /** Writes records, all of them or none. STORE_*. */
  async record(records: readonly TenantRecord[]): Promise<void> {
    const { context, published } = this.#options;
    const transitions = records.map((one) => this.#transitionOf(one));
    const outcomes = await context.store.apply(transitions);
    if (outcomes.some(({ tag }) => tag !== 'applied')) throw new SpineError('STORE_BUSY', {});
    published(transitions);
  }

  /** The records of a tenant, null = of nobody who is known, before an offset, null = the newest; newest first. */
  async events(
    tenant: string | null,
    { before, limit }: { readonly before: number | null; readonly limit: number },
  ): Promise<PageView<AccessEventView>> {
    const { context, read } = this.#options;
    const of = tenant ?? systemTenant;
    const { name } = accessTopic;
    const end = before ?? (await context.store.listTopics(of)).find(({ topic }) => topic === name)?.head ?? 0;
    const after = Math.max(end - limit, 0) - 1;
    const { items } = await read(of, name, { partition: 0, after, limit: Math.min(limit, end) });
    const shown = items.filter(({ offset }) => offset < end).map(viewOf);
    return { items: shown.reverse(), next: shown.length === 0 || after < 0 ? null : String(after + 1) };
  }

  #transitionOf({ tenant, record }: TenantRecord): Transition {
    const { context, catalog } = this.#options;
    const event = {
      topic: accessTopic.name,
      id: newId('event', context.ports),
      source: `access/${record.route}`,
      type: `${accessTopic.name}.${record.outcome}`,
      data: payloadOfJson(record),
      value: record,
    };
    const cause = {
      tenant: tenant ?? systemTenant,
      actor: record.actor ?? 'client',
      cause: null,
      correlation: record.request,
      traceparent: null,
    };
    const { write, dedupe, blobs } = preparePublication(context, catalog, event, cause, context.store.now());
    return { tenant: cause.tenant, publishes: [write], dedupe: [dedupe], blobs };
  }
}
