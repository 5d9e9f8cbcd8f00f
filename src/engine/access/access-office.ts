/**
 * The record of access: events of the topic `eventspine.access`, in the tenant of whoever has asked, or in that of the
 * installation where nobody is known. Servers write it; nobody else can publish to the topic.
 */
import type { AccessRecord } from '../../core/access/record.js';
import { payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { accessTopic } from '../../core/manifest.js';
import type { TopicEventView } from '../../protocol/http.js';
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

  /** The records of a tenant, null = of nobody who is known, oldest first. */
  async events(
    tenant: string | null,
    query: { readonly after: number; readonly limit: number },
  ): Promise<TopicEventView[]> {
    const { items } = await this.#options.read(tenant ?? systemTenant, accessTopic.name, { partition: 0, ...query });
    return [...items];
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
