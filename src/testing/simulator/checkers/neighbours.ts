/**
 * P22 over several servers: only the opening that owns a session claims for it, so that no two number its
 * assignments; and a duty is with one opening at a time, as the store's clock has it. Where that went back so far that the
 * duty would be held for too long, it is free.
 */
import { dutyTtlFactor, type Violation } from '../../../store/index.js';
import type { History } from '../history.js';

/** Every claim of somebody who does not own the session, and every duty that two had. */
export function checkNeighbours(history: History): Violation[] {
  const violations: Violation[] = [];
  const owners = new Map<string, number>();
  const duties = new Map<string, { readonly epoch: number; readonly untilMs: number }>();
  const report = (property: string, subject: string, detail: string, step: number): void => {
    violations.push({ property, tenant: '', subject, detail: `${detail} (step ${step})` });
  };
  for (const action of history.actions) {
    const { step } = action;
    switch (action.kind) {
      case 'session':
        if (action.what === 'close') owners.delete(action.session);
        else owners.set(action.session, action.epoch);
        break;
      case 'claim':
        for (const { task } of action.claimed) {
          const session = task.session ?? '';
          const owner = owners.get(session);
          if (owner !== action.epoch)
            report('P22', session, `opening ${action.epoch} claimed for it; its owner is ${owner ?? 'gone'}`, step);
        }
        break;
      case 'duty': {
        const { duty, epoch, held, nowMs, ttlMs } = action;
        const before = duties.get(duty);
        if (!held) break;
        const isHeld =
          before !== undefined && before.untilMs > nowMs && before.untilMs <= nowMs + dutyTtlFactor * ttlMs;
        if (isHeld && before.epoch !== epoch)
          report('P22', duty, `was given to opening ${epoch} while opening ${before.epoch} has it`, step);
        duties.set(duty, { epoch, untilMs: nowMs + ttlMs });
        break;
      }
      case 'closed':
        for (const [duty, { epoch }] of duties) if (epoch === action.epoch) duties.delete(duty);
        break;
      case 'apply':
      case 'release':
        break;
    }
  }
  return violations;
}
