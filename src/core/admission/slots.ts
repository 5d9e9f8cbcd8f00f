/**
 * Slots: how many may be under way at one time. Where the limit is adaptive, the ceiling follows the other side: a cut by
 * a third where it says that it is overloaded, and a slot more for each ceiling full of answers that came well (additive
 * increase, multiplicative decrease: Chiu and Jain 1989; one cut for all that was under way at the time of it).
 *
 * Invariant: `used` is the number of reservations that are not settled.
 */
export interface Slots {
  readonly k: 'slots';
  readonly used: number;
  /** Reservations so far; the number of one is its mark. */
  readonly n: number;
  /** Thousandths of slots. Of a limit that is not adaptive it is not used. */
  readonly ceiling: number;
  /** What was reserved up to this mark was under way at the last cut, and says nothing of what came of it. */
  readonly cut: number;
  /** Ms until the first part of an answer in good times; 0 = not known. */
  readonly best: number;
  /** Ms for which a slot is held on average; 0 = not known. For estimates only. */
  readonly held: number;
}

export interface SlotRule {
  readonly max: number;
  readonly adaptive: { readonly min: number } | null;
}

/** How an answer was: what adaptive slots learn from. */
export interface Answer {
  readonly mark: number;
  /** The other side refused or failed for want of capacity. */
  readonly overloaded: boolean;
  /** Ms until the first part; null = not known. */
  readonly firstPartMs: number | null;
  /** Ms for which the slot was held. */
  readonly heldMs: number;
}

const milli = 1_000;

export function newSlots({ max }: SlotRule): Slots {
  return { k: 'slots', used: 0, n: 0, ceiling: max * milli, cut: 0, best: 0, held: 0 };
}

/** How many may be under way now. */
export function ceilingOf(slots: Slots, { max, adaptive }: SlotRule): number {
  if (adaptive === null) return max;
  return Math.min(max, Math.max(adaptive.min, Math.floor(slots.ceiling / milli)));
}

export function slotTaken(slots: Slots): Slots {
  return { ...slots, used: slots.used + 1, n: slots.n + 1 };
}

/** Frees a slot. `answer`: null = nothing came back that says anything. */
export function slotFreed(slots: Slots, rule: SlotRule, answer: Answer | null): Slots {
  const used = Math.max(0, slots.used - 1);
  if (answer === null) return { ...slots, used };
  const held = slots.held === 0 ? answer.heldMs : Math.floor((slots.held * 7 + answer.heldMs) / 8);
  const freed = { ...slots, used, held };
  return rule.adaptive === null ? freed : adapted(freed, slots.used, rule, rule.adaptive.min, answer);
}

function adapted(slots: Slots, usedBefore: number, rule: SlotRule, min: number, answer: Answer): Slots {
  const ceiling = Math.min(rule.max * milli, Math.max(min * milli, slots.ceiling));
  if (answer.overloaded) {
    if (answer.mark <= slots.cut) return { ...slots, ceiling };
    return { ...slots, ceiling: Math.max(min * milli, Math.floor((ceiling * 2) / 3)), cut: slots.n };
  }
  const best = bestOf(slots.best, answer.firstPartMs);
  const isSlow = answer.firstPartMs !== null && best > 0 && answer.firstPartMs > slowFactor * best;
  // What is not used to the full says nothing of what there would be room for.
  const isNearFull = usedBefore * milli * 5 >= ceiling * 4;
  const grown = isSlow || !isNearFull ? ceiling : ceiling + Math.max(1, Math.floor((milli * milli) / ceiling));
  return { ...slots, best, ceiling: Math.min(rule.max * milli, grown) };
}

/** First parts that take so many times what they take at best say that there is a queue on the other side. */
const slowFactor = 3;

/** The least, which grows by a 64th with each answer that is slower: what was fast once need not be so for ever. */
function bestOf(best: number, sample: number | null): number {
  if (sample === null) return best;
  return best === 0 || sample < best ? Math.max(1, sample) : best + Math.ceil(best / 64);
}
