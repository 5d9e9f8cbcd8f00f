/** How a run that only mirrors what was done elsewhere ends where it would have an effect that others see. */
import { type ErrorCode, SpineError } from '../../core/errors.js';
import type { Failure } from '../../core/failure.js';
import { Terminal } from '../thrown.js';

/** Ends the run as refused: nothing has failed, and no letter is to be looked at. The data says where. */
export function effectWithheld(path: string): Terminal {
  const { code, message } = new SpineError('EFFECT_WITHHELD', { path });
  return new Terminal(code, { withheld: path }, { message });
}

/** True for what a run that ended so is to the one that has started it. */
export function isWithheld({ code }: Failure): boolean {
  return code === withheld;
}

const withheld: ErrorCode = 'EFFECT_WITHHELD';
