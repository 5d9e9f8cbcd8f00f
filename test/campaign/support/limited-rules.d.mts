import type { LimitOptions } from '../../../src/core/admission/limit-options.js';

export const allowed: Readonly<Record<string, LimitOptions>>;
