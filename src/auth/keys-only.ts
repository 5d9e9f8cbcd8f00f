/** Nobody but those with API keys. */
import type { Authorize } from '../server/index.js';

/**
 * An `authorize` that knows nobody: servers know API keys by themselves, so with it they are all that lets in. For an
 * installation of programs, which then may listen on an address that others reach.
 */
export const apiKeysOnly: Authorize = () => null;
