/**
 * Decisions over calls of tools that models have asked for. What the policy says is asked through the context; what the run
 * has read, what it has had so far and what people have agreed to follow from the state.
 *
 * Invariant: an approval counts for the tool and the arguments that it was asked for, and for no others; what is not allowed
 * here is not begun by a body.
 */
import { jsonOf } from '../codec.js';
import { limits } from '../limits.js';
import type { Counted, ToolCase, ToolUse, ToolVerdict } from '../tools/judge.js';
import { mergedTaint } from '../tools/taint.js';
import { exceedsUtf8 } from '../utf8.js';
import type { BodyCommand } from './commands.js';
import { accept, already, refused, type Decision } from './decision.js';
import type { NewRunEvent } from './events.js';
import { isHandlePath } from './mail.js';
import type { RunState } from './state.js';

/** What decisions over tools are told of the world. */
export interface ToolContext {
  /** The verdict of policy and orders. Must not throw. */
  judge(call: ToolCase): ToolVerdict;
}

type JudgeCommand = Extract<BodyCommand, { readonly op: 'judgeTool' }>;

export function decideTool(state: RunState, command: JudgeCommand, context: ToolContext): Decision {
  const { path, of, tool, effect, hash, args, approval } = command;
  const unit = state.units.get(path);
  if (unit !== undefined) return unit.kind === 'gate' ? already : refused('path_in_use');
  const given = knownTaint(command.taint);
  const taint = command.own === true ? given : mergedTaint(state.taint, given);
  const isApproved = approval !== null && isAgreed(state, approval, hash);
  const verdict = context.judge({
    tenant: state.tenant,
    by: state.workflow,
    tool,
    effect,
    args: plainOf(args),
    taint,
    isApproved,
    used: (name) => usedOf(state, of, name),
  });
  const judged: NewRunEvent = {
    type: 'tool.judged',
    data: {
      path,
      of,
      tool,
      effect,
      verdict: verdict.tag,
      rule: verdict.rule,
      hash,
      taint,
      ...(verdict.tag === 'allowed' ? {} : { why: verdict.why.slice(0, limits.toolWhyLengthMax) }),
      ...(verdict.tag === 'ask' ? { approve: verdict.approve } : {}),
      ...(verdict.tag === 'allowed' && Object.keys(verdict.counted).length > 0 ? { counted: verdict.counted } : {}),
      ...(verdict.tag === 'allowed' && isApproved ? { approval } : {}),
    },
    ...(args === null ? {} : { payload: { codec: 'json/1', text: args } }),
  };
  return accept(judged);
}

/** Labels of a worker, as far as there is room for them. */
export function knownTaint(labels: readonly string[]): readonly string[] {
  return labels.slice(0, limits.toolTaintsMax).map((label) => label.slice(0, limits.toolTaintLengthMax));
}

/** What cannot be looked at is not known, which is never in favour of a call. */
function plainOf(args: string | null): unknown {
  if (args === null || exceedsUtf8(args, limits.toolArgumentsBytesMax)) return undefined;
  try {
    return jsonOf(args);
  } catch {
    return undefined;
  }
}

function isAgreed({ units }: RunState, path: string, hash: string): boolean {
  const wait = units.get(path);
  if (wait?.kind !== 'wait' || wait.status !== 'satisfied' || wait.on.kind !== 'approval') return false;
  return wait.on.call === hash && wait.by?.kind === 'approval' && wait.by.outcome === 'approved';
}

/** The last verdict on each call counts; of an agent those on calls for the same message. */
function usedOf({ units, agent }: RunState, of: string, name: string): ToolUse {
  const message = agent === null ? null : handlePathOf(of);
  const last = new Map<string, Counted>();
  for (const unit of units.values()) {
    if (unit.kind !== 'gate' || unit.verdict !== 'allowed' || unit.of === of) continue;
    if (message === null || unit.of.startsWith(`${message}/`)) last.set(unit.of, unit.counted);
  }
  let calls = 0;
  const sums: Record<string, number> = {};
  for (const counted of last.values()) {
    const amounts = Object.hasOwn(counted, name) ? counted[name] : undefined;
    if (amounts === undefined) continue;
    calls += 1;
    for (const [path, amount] of Object.entries(amounts)) sums[path] = (sums[path] ?? 0) + amount;
  }
  return { calls, sums };
}

function handlePathOf(path: string): string | null {
  const [first = ''] = path.split('/', 1);
  return isHandlePath(first) ? first : null;
}

/** Verdicts that a redrive forgets: the work that they allowed has not come to a result, and is judged anew. */
export function staleVerdicts({ units }: RunState): string[] {
  return [...units].flatMap(([path, unit]) => {
    if (unit.kind !== 'gate' || unit.verdict !== 'allowed') return [];
    const work = units.get(unit.of);
    const isDone = (work?.kind === 'step' || work?.kind === 'call') && work.status === 'completed';
    return isDone ? [] : [path];
  });
}
