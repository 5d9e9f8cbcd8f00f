/**
 * Approvals: a wait for the word of a person. Who may give it are addresses, `role:<name>` or `user:<name>`, which the
 * server compares with those whom its `authorize` has let in.
 */
import { parseDuration, type Duration } from '../core/duration.js';
import { limits } from '../core/limits.js';
import { approvalTopic, indexedFields } from '../core/manifest.js';
import { isAddress, type Address, type Escalation } from '../core/run/waits.js';
import type { InferOutput, StandardSchema } from '../core/standard-schema.js';
import { OptionFaults } from './options.js';
import type { Topic } from './topic.js';

export type { Address } from '../core/run/waits.js';

/** Options of `ctx.approve`. */
export interface ApproveOptions<S extends StandardSchema = StandardSchema> {
  /** Who may decide; the first word counts. */
  readonly to: Address | readonly Address[];
  /** What the request is called in the inbox. Default: its name. */
  readonly title?: string;
  /** What the person is to look at; any value. */
  readonly show?: unknown;
  /** What the person fills in to approve. Checked by the server before the word counts. Default: nothing is asked for. */
  readonly form?: S;
  /** After this time the outcome is `expired`. Default: it waits for as long as the run lives. */
  readonly expires?: Duration;
  /** Who is asked as well, when there was no answer for so long since the request. Those asked before may still decide. */
  readonly escalate?: readonly { readonly after: Duration; readonly to: Address | readonly Address[] }[];
}

/** What came of it. `by` is the person as the server knows them; `at` epoch ms. */
export type Review<Form = unknown> =
  | {
      readonly outcome: 'approved';
      readonly by: string;
      readonly at: number;
      /** What the person has filled in; undefined where there was no form. */
      readonly form: Form;
      readonly comment: string | null;
    }
  | { readonly outcome: 'rejected'; readonly by: string; readonly at: number; readonly comment: string | null }
  | { readonly outcome: 'expired'; readonly at: number };

/** The type of the form behind options; undefined where there is none. */
export type FormOf<Options> = Options extends { readonly form: infer S extends StandardSchema }
  ? InferOutput<S>
  : undefined;

/** What an event of `approvalRequested` says. */
export interface ApprovalRequested {
  /** Id of the request: what `eventspine approvals` and the HTTP API take. */
  readonly id: string;
  readonly run: string;
  readonly workflow: string;
  readonly path: string;
  readonly title: string;
  readonly to: readonly string[];
  /** ISO 8601; null = it does not expire. */
  readonly expiresAt: string | null;
}

/**
 * The topic to which the engine publishes every request for an approval, whoever made it. Start a workflow on it
 * (`on: approvalRequested`) to tell people: by chat, by mail.
 */
export const approvalRequested: Topic<string, ApprovalRequested, ApprovalRequested> = {
  kind: 'topic',
  name: approvalTopic.name,
  schema: null,
  versions: [],
  compatibility: null,
  unknown: 'allow',
  key: approvalTopic.key,
  index: indexedFields(approvalTopic),
  partitions: approvalTopic.partitions,
};

/** An approval as it is recorded. */
export interface ApprovalRequest {
  readonly title: string;
  readonly to: readonly string[];
  readonly escalations: readonly Escalation[];
  readonly timeoutMs: number | null;
}

/** Checks the options. Fails with OPTIONS_INVALID, naming all faults. */
export function approvalRequestOf(path: string, options: ApproveOptions): ApprovalRequest {
  const faults = new OptionFaults(`approval "${path}"`);
  faults.unknownNames(options, ['to', 'title', 'show', 'form', 'expires', 'escalate']);
  const { title = path, escalate = [], expires, form } = options;
  if (
    typeof title !== 'string' ||
    title === '' ||
    title.length > limits.approvalTitleLengthMax ||
    /\p{Surrogate}/u.test(title)
  )
    faults.add(`title must be a text of 1 to ${limits.approvalTitleLengthMax} characters`);
  faults.schema('form', form);
  faults.duration('expires', expires, null, 1);
  if (escalate.length > limits.approvalEscalationsMax)
    faults.add(`escalate may have ${limits.approvalEscalationsMax} entries`);
  const to = addressesOf(faults, 'to', options.to);
  const escalations = escalate.map((one, i) => ({
    afterMs: faults.duration(`escalate[${i}].after`, one.after, 0, 1),
    to: addressesOf(faults, `escalate[${i}].to`, one.to),
  }));
  if (escalations.some((one, i) => i > 0 && one.afterMs <= (escalations[i - 1]?.afterMs ?? 0)))
    faults.add('each entry of escalate must come after the one before');
  faults.throwIfAny();
  return { title, to, escalations, timeoutMs: expires === undefined ? null : parseDuration(expires) };
}

function addressesOf(faults: OptionFaults, option: string, given: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (list.length === 0 || list.length > limits.approvalAddressesMax)
    faults.add(`${option} must be 1 to ${limits.approvalAddressesMax} addresses`);
  return list.flatMap((address) => {
    if (isAddress(address)) return [address];
    faults.add(`${option} must be an address such as "role:editor" or "user:ann"`);
    return [];
  });
}
