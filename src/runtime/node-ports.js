/**
 * The ports of `core/ports.ts` bound to Node: the one place where production reads a clock, a timer or a random source.
 * Everything above a composition root receives these as a value, so that tests and the simulator can hand in others.
 * Invariant: nothing here keeps a process alive.
 */
import { createHash, hash as hashOnce, randomFillSync } from 'node:crypto';
import { performance } from 'node:perf_hooks';
/** Wall clock in epoch ms, and the process's monotonic clock in ms with fractions. */
export const nodeClock = {
    now: () => Date.now(),
    monotonicMs: () => performance.now(),
};
/** `setTimeout` holds 32 bits of ms; a longer delay would fire at once, so it is waited for in pieces. */
const timeoutMsMax = 2 ** 31 - 1;
/** Timers that never keep the process alive; `turn` is `setImmediate`. Delays of any length are honoured. */
export const nodeTimers = {
    after(ms, fn) {
        let handle;
        const wait = (restMs) => {
            const pieceMs = Math.min(restMs, timeoutMsMax);
            handle = setTimeout(() => (restMs > pieceMs ? wait(restMs - pieceMs) : fn()), pieceMs);
            handle.unref();
        };
        wait(ms);
        return () => clearTimeout(handle);
    },
    turn(fn) {
        setImmediate(fn);
    },
};
/** Bytes fetched from the operating system at a time; ids and jitter ask for a few bytes each, thousands of times a second. */
const poolBytes = 64 * 1024;
const pool = Buffer.alloc(poolBytes);
let poolUsed = poolBytes;
/** Returns the offset of `length` fresh bytes in the pool. No byte is handed out twice. */
function take(length) {
    if (poolUsed + length > poolBytes) {
        randomFillSync(pool);
        poolUsed = 0;
    }
    const offset = poolUsed;
    poolUsed += length;
    return offset;
}
/** Unpredictable randomness from the operating system. */
export const nodeRandom = {
    next() {
        const offset = take(7);
        // 53 bits, all that a double in [0, 1) can hold evenly.
        const high = pool.readUIntBE(offset, 3) >>> 3;
        return (high * 2 ** 32 + pool.readUInt32BE(offset + 3)) / 2 ** 53;
    },
    bytes(length) {
        if (length > poolBytes)
            return randomFillSync(new Uint8Array(length));
        const offset = take(length);
        return Uint8Array.prototype.slice.call(pool, offset, offset + length);
    },
};
/** Small inputs are put together here: a digest in one call costs a third of one that is fed part by part. */
const scratch = Buffer.alloc(16 * 1024);
/** The parts as one input, over memory that is used again; null where they are too large for it. */
function joined(parts) {
    const [only] = parts;
    if (parts.length === 1 && only !== undefined)
        return only;
    let length = 0;
    for (const part of parts) {
        // Three bytes a UTF-16 unit is the most that UTF-8 can take.
        if (length + part.length * 3 > scratch.length)
            return null;
        if (typeof part === 'string')
            length += scratch.write(part, length);
        else {
            scratch.set(part, length);
            length += part.length;
        }
    }
    return scratch.subarray(0, length);
}
/** Digests by OpenSSL. */
export const nodeHash = {
    sha256(...parts) {
        const whole = joined(parts);
        if (whole !== null)
            return hashOnce('sha256', whole, 'hex');
        const hash = createHash('sha256');
        for (const part of parts)
            hash.update(part);
        return hash.digest('hex');
    },
};
/** The ports of production, for engines, workers and servers alike. Stateless apart from the pool of random bytes. */
export const nodePorts = { clock: nodeClock, timers: nodeTimers, random: nodeRandom, hash: nodeHash };
//# sourceMappingURL=node-ports.js.map