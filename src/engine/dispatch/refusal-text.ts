/** Why a submission was refused, in words: they become the message of a failed run, which people read. */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import type { Submission } from '../../protocol/worker.js';
import type { JobOutcome } from '../runs/lanes.js';

type Reason = Extract<JobOutcome, { tag: 'refused' }>['reason'];

/** Names shown; a submission may have hundreds of commands. */
const namesMax = 5;

/** The message for the worker that sent `submission` for `run`. */
export function refusalText(reason: Reason, run: string, { commands }: Submission): string {
  switch (reason) {
    case 'history_full': {
      const { message, mend } = new SpineError('HISTORY_FULL', { run, eventsMax: limits.historyEventsMax });
      return `${message} ${mend}`;
    }
    case 'unknown_capability': {
      const names = commands.flatMap((command) => (command.op === 'call' ? [command.capability] : []));
      return `Nobody has registered a capability that was called: ${shown(names)}.`;
    }
    case 'unknown_workflow': {
      const names = commands.flatMap((command) => (command.op === 'startChild' ? [command.workflow] : []));
      return `Nobody has registered a workflow that was to be started: ${shown(names)}.`;
    }
    case 'unknown_agent': {
      const names = commands.flatMap((command) =>
        command.op === 'send' && command.to.kind === 'agent' ? [command.to.agent] : [],
      );
      return `Nobody has registered an agent that a message is for: ${shown(names)}.`;
    }
    case 'unknown_model': {
      const names = commands.flatMap((command) => (command.op === 'infer' ? [command.ask.model] : []));
      return `Nobody has registered a model that was asked: ${shown(names)}.`;
    }
    case 'too_many_streams':
      return `Run ${run} has ${limits.streamsPerRunMax} streams, and may not have another.`;
    case 'too_deep': {
      const { message, mend } = new SpineError('CHILD_TOO_DEEP', { run, depthMax: limits.childDepthMax });
      return `${message} ${mend}`;
    }
    case 'path_in_use':
    case 'invalid_path': {
      const paths = commands.flatMap((command) => ('path' in command && command.path !== null ? [command.path] : []));
      const fault = reason === 'path_in_use' ? 'is recorded as something else already' : 'cannot name a step';
      return `A path of these ${fault}: ${shown(paths)}.`;
    }
    case 'stale':
      return 'Something happened that concerns the body.';
    default:
      return `Refused: ${reason}.`;
  }
}

function shown(names: readonly string[]): string {
  const distinct = [...new Set(names)];
  const more = distinct.length > namesMax ? ` and ${distinct.length - namesMax} more` : '';
  return distinct.slice(0, namesMax).join(', ') + more;
}
