/** The tenant of what belongs to the installation as a whole: secrets that its servers share, the counters of limits. */
import { limits } from '../core/limits.js';

/** Longer than the tenant of any request may be, so that none can be this one. */
export const systemTenant = 'eventspine.system'.padEnd(limits.tenantLengthMax + 1, '.');
