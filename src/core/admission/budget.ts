/**
 * Money per calendar window, in millionths of the currency. What is reserved counts as spent until it is settled.
 *
 * Invariant: within one window no more is reserved than the amount, whatever the clock does. Windows only go on; a clock
 * that was wrong by more than a window takes what was spent with it when it comes back.
 */
import { ticksOf } from '../schedule/ticks.js';

export interface Budget {
  readonly k: 'budget';
  readonly spent: number;
  /** When the window is over; null = never. */
  readonly until: number | null;
}

export interface BudgetRule {
  readonly amountMicros: number;
  readonly per: 'day' | 'month' | 'run';
  readonly zone: string;
}

const dayMs = 24 * 60 * 60_000;
/** Longer than any window of its kind. */
const longestMs = { day: 2 * dayMs, month: 32 * dayMs } as const;

export function newBudget(rule: BudgetRule, now: number): Budget {
  return { k: 'budget', spent: 0, until: endOfWindow(rule, now) };
}

/** The end of the window that `now` is in; null = it has none. */
export function endOfWindow({ per, zone }: BudgetRule, now: number): number | null {
  if (per === 'run') return null;
  return ticksOf({ cron: per === 'day' ? '0 0 * * *' : '0 0 1 * *', timeZone: zone }).next(now);
}

/** The budget in the window of `now`. */
export function rolled(budget: Budget, rule: BudgetRule, now: number): Budget {
  if (rule.per === 'run') return budget.until === null ? budget : { ...budget, until: null };
  if (budget.until === null) return { ...budget, until: endOfWindow(rule, now) };
  if (now >= budget.until) return newBudget(rule, now);
  if (budget.until - now > longestMs[rule.per]) return { ...budget, until: endOfWindow(rule, now) };
  return budget;
}

/** When there is room: null = not before somebody raises the budget. The budget must be rolled. */
export function budgetRoomAt(budget: Budget, rule: BudgetRule, amount: number, now: number): number | null {
  if (budget.spent + amount <= rule.amountMicros) return now;
  return amount > rule.amountMicros ? null : budget.until;
}

export function spent(budget: Budget, amount: number): Budget {
  return { ...budget, spent: budget.spent + amount };
}

/** Settles a reservation of the window that ends at `until`: what was reserved in an earlier one is forgotten with it. */
export function budgetSettled(
  budget: Budget,
  { until, reserved, used }: { readonly until: number | null; readonly reserved: number; readonly used: number },
): Budget {
  if (until !== budget.until) return budget;
  return { ...budget, spent: Math.max(0, budget.spent - reserved + used) };
}
