/** What to do about a dead letter, by the class of its failure: rules first (DESIGN 8.6). */
import { errorCatalogue } from '../../core/errors.js';
import { failureClasses, type FailureClass } from '../../core/failure.js';
import { treatments } from '../../core/triage/remedies.js';
import type { DeadLetterView } from '../../protocol/http.js';

type Remedy = Pick<DeadLetterView['remedy'], 'text' | 'redriveMayHelp'>;

const remedies: Readonly<Record<FailureClass, Remedy>> = {
  context_length_exceeded: {
    text: 'The prompt is longer than the model takes: use a model with a larger window, or shrink the input.',
    redriveMayHelp: false,
  },
  rate_limited: {
    text: 'The provider was asked too often: redrive when its limit has room again.',
    redriveMayHelp: true,
  },
  quota_exhausted: {
    text: 'The quota or credit at the provider is used up: raise it, then redrive.',
    redriveMayHelp: true,
  },
  overloaded: { text: 'The provider was overloaded: redrive later.', redriveMayHelp: true },
  timeout: {
    text: 'It took longer than allowed: raise the timeout or make the work shorter, then redrive.',
    redriveMayHelp: true,
  },
  auth: { text: 'The credentials were refused: renew them, then redrive.', redriveMayHelp: true },
  permission: { text: 'The credentials do not allow this: widen their rights, then redrive.', redriveMayHelp: true },
  content_filtered: {
    text: 'The provider refused the content: change the input; a redrive alone will meet the same filter.',
    redriveMayHelp: false,
  },
  invalid_request: {
    text: 'The request was malformed: mend the code or the input; a redrive alone will fail again.',
    redriveMayHelp: false,
  },
  invalid_output: {
    text: 'The output did not fit its schema: a redrive may produce a better one; otherwise mend prompt or schema.',
    redriveMayHelp: true,
  },
  tool_error: { text: 'A tool failed: look at its message, mend the tool, then redrive.', redriveMayHelp: true },
  model_not_found: {
    text: 'The model does not exist at the provider: correct its name, then redrive.',
    redriveMayHelp: true,
  },
  network: { text: 'The network failed: redrive when the endpoint can be reached.', redriveMayHelp: true },
  payload_too_large: { text: 'The payload is larger than allowed: send less, or a reference.', redriveMayHelp: false },
  internal: {
    text: 'The code failed: look at the message and the stack, deploy a mended version, then redrive.',
    redriveMayHelp: true,
  },
  dependency: { text: 'Something the work depends on failed: redrive when it is back.', redriveMayHelp: true },
  poison: {
    text: 'The input cannot be handled by this code: mend the code or discard the run.',
    redriveMayHelp: false,
  },
  cancelled: { text: 'The run was cancelled: redrive it if that was a mistake.', redriveMayHelp: true },
  unknown: {
    text: 'The cause is not known: look at the message and the history before redriving.',
    redriveMayHelp: true,
  },
};

export function remedyOf(failureClass: string, code: string): DeadLetterView['remedy'] {
  const found = failureClasses.find((known) => known === failureClass) ?? 'unknown';
  const remedy = { name: treatments[found].remedy, ...remedies[found] };
  const own = Object.entries(errorCatalogue).find(([name]) => name === code);
  return own === undefined ? remedy : { ...remedy, text: `${own[1].mend} ${remedy.text}` };
}
