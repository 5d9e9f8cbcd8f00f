import type { Clock, Hash, Ports, Random, Timers } from '../core/ports.js';
/** Wall clock in epoch ms, and the process's monotonic clock in ms with fractions. */
export declare const nodeClock: Clock;
/** Timers that never keep the process alive; `turn` is `setImmediate`. Delays of any length are honoured. */
export declare const nodeTimers: Timers;
/** Unpredictable randomness from the operating system. */
export declare const nodeRandom: Random;
/** Digests by OpenSSL. */
export declare const nodeHash: Hash;
/** The ports of production, for engines, workers and servers alike. Stateless apart from the pool of random bytes. */
export declare const nodePorts: Ports;
//# sourceMappingURL=node-ports.d.ts.map
