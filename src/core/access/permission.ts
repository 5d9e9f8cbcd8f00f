/**
 * Permissions: what a principal may do within its tenant, each a text `action:kind/pattern`, such as
 * `publish:topic/orders.*`. This is the one place that says what a list of them allows; whoever asks goes through here.
 *
 * Invariant: nothing is allowed that no permission names, and a list with a text that is no permission is refused whole.
 */
import { limits } from '../limits.js';
import { everyName, matcherOf, patternFault, type NameMatcher } from './pattern.js';

/**
 * What can be done with things of each kind.
 *
 * - `topic`: `publish`; `subscribe` (follow, pull, acknowledge); `replay` (read or seek back of the newest, replay); `write`
 *   (take over as the single writer); `manage` (subscriptions, dead events).
 * - `workflow`: `start`; `read` (runs: view, history, result, stream, lists, read tokens, dead letters); `signal` (also
 *   outcomes); `cancel` (also retry, migrate, redrive, edit, discard).
 * - `agent`: `tell`; `read`.
 * - `approval`: `decide`; `read`. Patterns mean the workflow whose run asks.
 * - `schedule`, `webhook`: `read`; `manage`.
 */
export const accessActions = {
  topic: ['publish', 'subscribe', 'replay', 'write', 'manage'],
  workflow: ['start', 'read', 'signal', 'cancel'],
  agent: ['tell', 'read'],
  approval: ['decide', 'read'],
  schedule: ['read', 'manage'],
  webhook: ['read', 'manage'],
} as const;

export type AccessKind = keyof typeof accessActions;
export type AccessAction<Kind extends AccessKind = AccessKind> = (typeof accessActions)[Kind][number];

/** Kinds in the order of the documentation. */
export const accessKinds = Object.keys(accessActions) as AccessKind[];

/** A permission, read. */
export interface Permission {
  /** `*` = every action of the kind. */
  readonly action: AccessAction | '*';
  /** `*` = every kind; then the pattern is that of all names. */
  readonly kind: AccessKind | '*';
  readonly pattern: string;
}

/** What a text that is no permission lacks. */
export interface PermissionFault {
  readonly fault: string;
}

const form = /^([a-z*]{1,20}):([a-z*]{1,20})(?:\/(.*))?$/su;

/** Reads a permission. `*:*` and `read:*` are of all kinds and have no pattern; all others have one. */
export function readPermission(text: string): Permission | PermissionFault {
  const shown = JSON.stringify(text.slice(0, shownLength));
  const match = text.length <= permissionLengthMax ? form.exec(text) : null;
  if (match === null) return { fault: `${shown} is not "action:kind/pattern", such as "publish:topic/orders.*"` };
  const [, action = '', kind = '', pattern] = match;
  if (kind === '*') {
    if (pattern !== undefined) return { fault: `${shown}: a permission of all kinds has no pattern` };
    if (action !== '*' && !accessKinds.some((one) => isActionOf(one, action)))
      return { fault: `${shown}: there is no action "${action}"` };
    return { action: action as Permission['action'], kind, pattern: everyName };
  }
  const known = accessKinds.find((one) => one === kind);
  if (known === undefined) return { fault: `${shown}: the kind is none of ${accessKinds.join(', ')}, *` };
  if (action !== '*' && !isActionOf(known, action))
    return { fault: `${shown}: the action of a ${known} is none of ${accessActions[known].join(', ')}, *` };
  const fault = pattern === undefined ? `there is no pattern; "${everyName}" means all names` : patternFault(pattern);
  if (fault !== null || pattern === undefined) return { fault: `${shown}: ${String(fault)}` };
  return { action: action as Permission['action'], kind: known, pattern };
}

/** What is wrong with a list of permissions; empty = nothing. For those who store or configure them. */
export function permissionFaults(permissions: readonly unknown[]): readonly string[] {
  if (permissions.length > limits.permissionsMax) return [`there are more than ${limits.permissionsMax} permissions`];
  return permissions.flatMap((one) => {
    const read = typeof one === 'string' ? readPermission(one) : { fault: 'a permission is a text' };
    return 'fault' in read ? [read.fault] : [];
  });
}

const permissionLengthMax = limits.nameLengthMax + 50;
const shownLength = 80;

function isActionOf(kind: AccessKind, action: string): boolean {
  return accessActions[kind].some((one) => one === action);
}

/** What a principal may do. Made once of its permissions, asked at every request. */
export interface Access {
  /** Whether the action is allowed on the thing of this name. */
  allows(action: AccessAction, kind: AccessKind, name: string): boolean;
  /** Whether it is allowed on at least some names. */
  allowsSome(action: AccessAction, kind: AccessKind): boolean;
  /** Whether it is allowed whatever the name is. */
  allowsAll(action: AccessAction, kind: AccessKind): boolean;
  /** Whether everything is allowed; then nothing needs to be looked up to decide. */
  readonly isWhole: boolean;
}

/** Everything within the tenant: what a principal without a list of permissions has. */
export const wholeAccess: Access = {
  allows: () => true,
  allowsSome: () => true,
  allowsAll: () => true,
  isWhole: true,
};

interface Rule {
  readonly action: Permission['action'];
  readonly isEvery: boolean;
  readonly matches: NameMatcher;
}

/**
 * What a list of permissions allows; undefined = everything. A faulty list is a fault of whoever made it.
 *
 * @throws Error where a text is no permission; whoever takes permissions from users checks them by `permissionFaults`
 */
export function accessOf(permissions: readonly string[] | undefined): Access {
  if (permissions === undefined) return wholeAccess;
  const [fault] = permissionFaults(permissions);
  if (fault !== undefined) throw new Error(`Permissions of a principal: ${fault}`);
  const read = permissions.map((text) => readPermission(text) as Permission);
  if (read.some(({ action, kind }) => action === '*' && kind === '*')) return wholeAccess;
  const rules = new Map<AccessKind, readonly Rule[]>(
    accessKinds.map((kind) => [kind, read.filter((one) => one.kind === kind || one.kind === '*').map(ruleOf)]),
  );
  const ofAction = (action: AccessAction, kind: AccessKind): readonly Rule[] =>
    (rules.get(kind) ?? []).filter((rule) => rule.action === '*' || rule.action === action);
  return {
    allows: (action, kind, name) => ofAction(action, kind).some((rule) => rule.matches(name)),
    allowsSome: (action, kind) => ofAction(action, kind).length > 0,
    allowsAll: (action, kind) => ofAction(action, kind).some((rule) => rule.isEvery),
    isWhole: false,
  };
}

function ruleOf({ action, pattern }: Permission): Rule {
  return { action, isEvery: pattern === everyName, matches: matcherOf(pattern) };
}
