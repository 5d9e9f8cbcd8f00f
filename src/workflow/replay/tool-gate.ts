/**
 * The gate in front of the work of a tool, as a body goes through it: a verdict of the server, where it says so the word of a
 * person, and another verdict after that. Each is recorded, so that a replay goes the same way.
 *
 * Invariant: work begins only after a verdict that allows it for these very arguments, and not on an old one that an earlier
 * activation has heard and done nothing about: whatever was ordered since counts.
 */
import { canonicalJson } from '../../core/canonical-json.js';
import { encodeValue, jsonOf } from '../../core/codec.js';
import { limits } from '../../core/limits.js';
import { pathOf } from '../../core/paths.js';
import type { Hash } from '../../core/ports.js';
import type { BodyCommand } from '../../core/run/commands.js';
import type { Effect, RunEventData } from '../../core/run/events.js';
import { isNamed } from '../../core/tools/judge.js';
import type { ToolPolicy } from '../../core/tools/policy.js';
import { taintIn, toolTaint } from '../../core/tools/taint.js';
import { exceedsUtf8 } from '../../core/utf8.js';
import type { ApproveOptions, Review } from '../approval.js';
import type { ModelMessage } from '../infer/model-endpoint.js';
import type { PathRecord } from './path-record.js';

/** A verdict, and where it stands in the history. */
export type Judged = RunEventData['tool.judged'] & { readonly seq: number; readonly at: number };

/** A call that a model has asked for. */
export interface GatedCall {
  readonly tool: string;
  readonly effect: Effect;
  /** What the tool is to be given. */
  readonly value: unknown;
  /** Where untrusted text has come from that the model was asked with. */
  readonly taint: readonly string[];
  /** What the run has read beside that does not count. */
  readonly own: boolean;
}

/** What the gate asks of the body. All paths are beneath the one of the work. */
export interface GateHost {
  readonly hash: Hash;
  readonly policy: ToolPolicy | null;
  /** `seq` of the last event that an earlier activation may have seen. */
  readonly since: number;
  /** Epoch ms, of the clock on the wall. */
  now(): number;
  recordOf(path: string): PathRecord | undefined;
  judge(command: Extract<BodyCommand, { readonly op: 'judgeTool' }>): Promise<Judged>;
  /** Asks people about a call, by its hash. */
  review(path: string, options: ApproveOptions, call: string): Promise<Review>;
}

/** Why the work at `path` may not be done; null = it may. */
export async function refusalOf(path: string, call: GatedCall, host: GateHost): Promise<string | null> {
  const { tool, effect, value, taint, own } = call;
  if (!isGated(path, call, host)) return null;
  const encoded = encodedOf(value);
  if (encoded === null) return 'its arguments cannot be recorded';
  const hash = host.hash.sha256(`${tool}\0${canonicalJson(JSON.parse(encoded))}`);
  const args = exceedsUtf8(encoded, limits.toolArgumentsBytesMax) ? null : encoded;
  let approval: string | null = null;
  for (let n = 1; n <= verdictsMax; n++) {
    const judged = await host.judge({
      op: 'judgeTool',
      path: gatePath(path, n),
      of: path,
      tool,
      effect,
      hash,
      args,
      taint,
      ...(own ? { own: true } : {}),
      approval,
    });
    // A program that was begun anew may have asked for the same call with other arguments.
    if (judged.hash !== hash) continue;
    if (judged.verdict === 'refused') return judged.why ?? 'it is not allowed';
    if (judged.verdict === 'ask') {
      const asked = pathOf(path, ['approve', n]);
      const review = await host.review(asked, requestOf(judged, encoded), hash);
      if (review.outcome === 'expired') return 'nobody has agreed to it in time';
      if (review.outcome === 'rejected')
        return `${review.by} has not agreed to it${review.comment === null ? '' : `: ${review.comment}`}`;
      approval = asked;
      continue;
    }
    const wasJudgedAnew = host.recordOf(gatePath(path, n + 1)) !== undefined;
    const isOfBefore = judged.seq <= host.since && host.now() - judged.at > staleMs;
    const isStale = isOfBefore && host.recordOf(path) === undefined;
    if (!wasJudgedAnew && !isStale) return null;
  }
  return 'it was judged too often without being done';
}

/** Age from which a verdict that an earlier activation has heard, and done nothing about, is asked for anew. */
const staleMs = 5_000;
/** What kills a worker each time is not to be judged without end. */
const verdictsMax = 100;

/**
 * Whether there is a verdict to be asked for. Work that was begun before there were verdicts goes on without one; what was
 * judged stays judged, whatever the app says of tools now.
 */
function isGated(path: string, { effect }: GatedCall, host: GateHost): boolean {
  if (host.recordOf(gatePath(path, 1)) !== undefined) return true;
  return (host.policy !== null || effect === 'external') && host.recordOf(path) === undefined;
}

function gatePath(path: string, n: number): string {
  return pathOf(path, n === 1 ? 'gate' : ['gate', n]);
}

function encodedOf(value: unknown): string | null {
  try {
    return encodeValue(value, limits.valueBytesMax).text;
  } catch {
    return null;
  }
}

function requestOf({ tool, effect, why, taint, approve }: Judged, encoded: string): ApproveOptions {
  const { to = ['role:operator'], expiresMs = null } = approve ?? {};
  return {
    title: `Call the tool "${tool.slice(0, limits.approvalTitleLengthMax - titleRest)}"?`,
    to: to as ApproveOptions['to'],
    show: { tool, arguments: jsonOf(encoded), effect, why: why ?? null, untrusted: taint },
    ...(expiresMs === null ? {} : { expires: expiresMs }),
  };
}

const titleRest = 'Call the tool ""?'.length;

/** What a model is told of a call that was refused. */
export function refusedText(tool: string, why: string): string {
  return `The call of the tool "${tool}" was refused by the policy: ${why}.`;
}

/** Results that we have written ourselves: nothing in them is from outside. */
const ownResults = new WeakSet<object>();

/** Says that a result of a tool is of our own making. */
export function markOwn<T extends object>(result: T): T {
  ownResults.add(result);
  return result;
}

/** True where a result is of our own making. */
export function isOwn(result: object): boolean {
  return ownResults.has(result);
}

/** Where untrusted text in a request has come from: marked text, and what tools have given. `request`: encoded. */
export function taintOf(
  request: string,
  messages: readonly ModelMessage[],
  policy: ToolPolicy | null,
  isRefused: (toolName: string, toolCallId: string) => boolean = () => false,
): readonly string[] {
  const found = new Set(taintIn(request));
  for (const { role, content } of messages) {
    if (role !== 'tool') continue;
    for (const part of Array.isArray(content) ? (content as readonly unknown[]) : [content]) {
      const { toolName, toolCallId } = (typeof part === 'object' && part !== null ? part : {}) as {
        readonly toolName?: unknown;
        readonly toolCallId?: unknown;
      };
      const name = typeof toolName === 'string' ? toolName : '';
      if (typeof part === 'object' && part !== null && isOwn(part)) continue;
      if (isRefused(name, typeof toolCallId === 'string' ? toolCallId : '')) continue;
      if (name !== '' && policy !== null && isNamed(policy.trusted, name)) continue;
      found.add(toolTaint(name));
    }
  }
  return [...found].slice(0, limits.toolTaintsMax);
}
