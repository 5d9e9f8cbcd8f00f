/** The door to models where there are limits: what none of them concerns goes through, all else waits for the coordinator. */
import { concerns } from '../../core/admission/limit.js';
import { grantOf, type Admission } from '../models/admission.js';
import type { LimitRules } from './limit-rules.js';
import { inferenceWork } from './ticket-rows.js';

export function limitGate(rules: Pick<LimitRules, 'inForce'>): Admission {
  return {
    ask(ticket, candidate) {
      const { inForce } = rules;
      if (inForce.size === 0) return grantOf(candidate, []);
      const work = inferenceWork(ticket, candidate);
      for (const spec of inForce.values()) if (concerns(spec, work)) return 'hold';
      return grantOf(candidate, []);
    },
  };
}
