/** What the API says of tools: policies of apps, and orders of operators over them. */
import type { ToolOrder, ToolPolicy } from '../core/tools/policy.js';

/** An order that is in force. */
export interface ToolOrderView extends Omit<ToolOrder, 'at'> {
  /** ISO 8601. */
  readonly at: string;
}

/** Policies and orders that are in force. */
export interface ToolPoliciesView {
  readonly policies: readonly { readonly app: string; readonly policy: ToolPolicy }[];
  readonly orders: readonly ToolOrderView[];
}
