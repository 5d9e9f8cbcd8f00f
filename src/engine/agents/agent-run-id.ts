/** Ids of the runs that agent keys are: made of what they stand for, so that two servers that begin one meet at its head. */
import type { Hash } from '../../core/ports.js';

export interface AgentRun {
  readonly tenant: string;
  readonly agent: string;
  readonly key: string;
  readonly generation: number;
}

/** A run id in the usual form; its 130 bits come out of a hash. */
export function agentRunId(ports: { readonly hash: Hash }, { tenant, agent, key, generation }: AgentRun): string {
  const hash = ports.hash.sha256(JSON.stringify(['agent', tenant, agent, key, generation]));
  let bits = BigInt(`0x${hash.slice(0, 34)}`);
  let body = '';
  for (let i = 0; i < bodyLength; i++) {
    body = (alphabet[Number(bits & 31n)] ?? '0') + body;
    bits >>= 5n;
  }
  // The first digit of a run id has three bits.
  return `run_${alphabet[parseInt(hash.slice(-1), 16) & 7] ?? '0'}${body.slice(1)}`;
}

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const bodyLength = 26;
