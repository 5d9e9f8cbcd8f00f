import { describe, expect, it } from 'vitest';
import { limits } from '../../core/limits.js';
import type { Outcome, Store, Transition } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { Committer, type CommitAnswer } from './committer.js';

const applied: Outcome = { tag: 'applied', positions: [], offsets: [] };

function committerOver(apply: Store['apply']) {
  const events: string[] = [];
  const context = {
    store: { apply: (given: readonly Transition[]) => (events.push(`apply ${given.length}`), apply(given)) } as Store,
    fault: (what: string) => events.push(`fault ${what}`),
  } satisfies Pick<EngineContext, 'store' | 'fault'>;
  const committer = new Committer(context, (transitions) => events.push(`opening ${transitions.length}`));
  const commit = (tenant: string, blobBytes = 0): Promise<CommitAnswer> =>
    new Promise((settle) => {
      const blobs = blobBytes === 0 ? [] : [{ hash: tenant, bytes: new Uint8Array(blobBytes) }];
      committer.commit({ transition: { tenant, blobs }, settle });
    });
  return { committer, commit, events };
}

describe('Committer', () => {
  it('hands over in one call what comes in one turn, in order, and tells of it before it is committed', async () => {
    const order: string[] = [];
    const { commit, events } = committerOver(async (given) => {
      order.push(...given.map(({ tenant }) => tenant));
      return given.map(() => applied);
    });
    expect(await Promise.all(['a', 'b', 'c'].map((tenant) => commit(tenant)))).toEqual([applied, applied, applied]);
    expect(order).toEqual(['a', 'b', 'c']);
    expect(events).toEqual(['apply 3', 'opening 3']);
  });

  it('makes no call larger than a commit, in items or in bytes of blobs', async () => {
    const { commit, events } = committerOver(async (given) => given.map(() => applied));
    await Promise.all(Array.from({ length: limits.commitItemsMax + 1 }, (_, i) => commit(`t${i}`)));
    await Promise.all(['x', 'y', 'z'].map((tenant) => commit(tenant, 7 * 1024 * 1024)));
    expect(events.filter((event) => event.startsWith('apply'))).toEqual([
      `apply ${limits.commitItemsMax}`,
      'apply 1',
      'apply 2',
      'apply 1',
    ]);
  });

  it('answers each with its own outcome, and all with the failure of their call', async () => {
    const fenced: Outcome = { tag: 'fenced' };
    const mixed = committerOver(async () => [applied, fenced]);
    expect(await Promise.all([mixed.commit('a'), mixed.commit('b'), mixed.commit('c')])).toMatchObject([
      applied,
      fenced,
      { tag: 'failed' },
    ]);
    const error = new Error('gone');
    const failing = committerOver(() => Promise.reject(error));
    expect(await Promise.all([failing.commit('a'), failing.commit('b')])).toEqual([
      { tag: 'failed', error },
      { tag: 'failed', error },
    ]);
  });

  it('keeps the answers of others from what goes wrong behind one', async () => {
    const { committer, commit, events } = committerOver(async (given) => given.map(() => applied));
    committer.commit({
      transition: { tenant: 'bad' },
      settle: () => {
        throw new Error('bug');
      },
    });
    expect(await commit('good')).toEqual(applied);
    expect(events).toContain('fault commit');
  });
});
