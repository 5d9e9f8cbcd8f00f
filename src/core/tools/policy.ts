/**
 * What models may have done by tools: the policy of an app, and what operators order over it while it runs. Data, so that a
 * server that loads no code decides by it.
 *
 * Invariant: rules are read from the first to the last, and the first that fits a call decides; what no rule names and has
 * an effect outside is refused.
 */
import type { JsonSchema } from '../manifest.js';

/** All of them, for checks. */
export const toolWords = ['allow', 'approve', 'refuse'] as const;
/** What becomes of a call of a tool. `approve`: a person has the say, and is shown the arguments. */
export type ToolWord = (typeof toolWords)[number];

/** All of them, for checks. */
export const toolOrderWords = [...toolWords, 'limit'] as const;
/** What an order says: `limit` leaves the word to the rules and holds calls within its limits; `allow` takes their place. */
export type ToolOrderWord = (typeof toolOrderWords)[number];

/** What values of an argument are allowed. An argument that is not there is refused unless it is `optional`. */
export interface ArgumentLimit {
  /** Smallest and largest number; anything but a finite number is refused. */
  readonly min?: number;
  readonly max?: number;
  /** The values that are allowed, compared exactly. */
  readonly oneOf?: readonly (string | number | boolean | null)[];
  /** Hosts of a URL, as patterns; the scheme is `https`, or `http` where `plain` says so. Ports and users are refused. */
  readonly hosts?: readonly string[];
  readonly plain?: true;
  /** Folders that a path must be in. A path with `..`, a backslash or a NUL is refused. Links are not looked at. */
  readonly under?: readonly string[];
  /** Longest text, in UTF-16 code units, or longest list. */
  readonly lengthMax?: number;
  readonly optional?: true;
}

/** How often a run may have what a rule allows; of an agent, how often for one message. */
export interface ToolQuota {
  readonly calls?: number;
  /** By the path of an argument: how much all calls together may come to. Amounts are finite and not below 0. */
  readonly sum?: Readonly<Record<string, number>>;
}

/** Who is asked where a person has the say. */
export interface ToolApproval {
  /** Addresses: `role:<name>`, `user:<name>`. */
  readonly to: readonly string[];
  /** After this time nobody has agreed; null = it stays open for as long as the run lives. */
  readonly expiresMs: number | null;
}

/** What a rule of the app and an order of an operator have in common. */
export interface ToolTerms {
  readonly name: string;
  /** Patterns of names of tools: `*` is any text without a dot, `**` any. */
  readonly tools: readonly string[];
  /** Patterns of names of workflows and agents. Absent = all. */
  readonly by?: readonly string[];
  /** Patterns of tenants. Absent = all. */
  readonly tenants?: readonly string[];
  /** By the path of an argument, such as `to.address` or `items[].cents`. */
  readonly limits?: Readonly<Record<string, ArgumentLimit>>;
  readonly perRun?: ToolQuota;
  readonly approve?: ToolApproval;
  /** What becomes of a call that untrusted text may have led to. Absent = what the policy says, for external effects. */
  readonly tainted?: ToolWord;
}

/** A rule of an app. */
export interface ToolRule extends ToolTerms {
  readonly verdict: ToolWord;
  /** The rule is for calls whose arguments fit this. Absent = all. */
  readonly when?: JsonSchema;
  /** What arguments must fit, or the call is refused. */
  readonly schema?: JsonSchema;
}

/** The policy of an app. */
export interface ToolPolicy {
  readonly rules: readonly ToolRule[];
  /** What becomes of calls without an effect outside that no rule names. */
  readonly otherwise: ToolWord;
  /** What becomes of calls with an effect outside that untrusted text may have led to, where their rule says nothing of it. */
  readonly tainted: ToolWord;
  /** Who is asked where a rule does not say. */
  readonly approve: ToolApproval;
  /** Patterns of tools whose results are not from outside. */
  readonly trusted: readonly string[];
}

/** What an operator has ordered. An order holds beside the rules of apps: what it refuses or limits, no rule allows. */
export interface ToolOrder extends ToolTerms {
  readonly verdict: ToolOrderWord;
  /** Why, in the words of whoever gave it. */
  readonly reason: string | null;
  readonly orderedBy: string;
  /** Given by an admin: nobody else changes it or takes it back. */
  readonly isAdmins: boolean;
  /** Epoch ms. */
  readonly at: number;
}

/** Who is asked where nobody says. */
export const defaultApproval: ToolApproval = { to: ['role:operator'], expiresMs: null };
