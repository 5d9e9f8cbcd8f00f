/** Keys of agents: what tells the actors of one kind apart. */
import { limits } from '../core/limits.js';

/** True for a text that may be the key of an agent. */
export function isAgentKey(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= limits.keyLengthMax && !unstorable.test(value);
}

/** What is wrong with one that may not. */
export const agentKeyFault = `the key must be a text of 1 to ${limits.keyLengthMax} characters, without NUL or half a surrogate pair`;

const unstorable = /[\0\p{Surrogate}]/u;
