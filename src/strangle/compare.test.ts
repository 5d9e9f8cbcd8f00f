import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareBy, reportedDifference } from './compare.js';

const answer = (body: unknown, status = 200) => ({ status, body });

describe('two answers', () => {
  it('agree with themselves, whatever they are', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (body) => {
        expect(await compareBy({})(answer(body), answer(structuredClone(body)))).toEqual([]);
      }),
    );
  });

  it('differ where one value was changed, and nowhere else', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.record({ name: fc.string(), n: fc.integer() }), { minLength: 1 }), async (items) => {
        const changed = structuredClone(items);
        const at = items.length - 1;
        const item = changed[at];
        if (item !== undefined) item.n += 1;
        expect(await compareBy({})(answer({ items }), answer({ items: changed }))).toEqual([
          { path: `body.items.${at}.n`, kind: 'value', old: items[at]?.n, new: item?.n },
        ]);
        expect(await compareBy({ ignore: ['items.*.n'] })(answer({ items }), answer({ items: changed }))).toEqual([]);
      }),
    );
  });

  it('tell what is missing, added, and of another kind', async () => {
    const differences = await compareBy({})(
      answer({ gone: 1, kind: 1, list: [], none: null, own: { toString: 1 } }),
      answer({ come: 1, kind: '1', list: {}, none: 0, own: {} }),
    );
    expect(differences.map(({ path, kind }) => `${kind} ${path}`)).toEqual([
      'missing body.gone',
      'type body.kind',
      'type body.list',
      'type body.none',
      'missing body.own.toString',
      'added body.come',
    ]);
  });

  it('may differ in numbers by a share, and in the words of a refusal', async () => {
    const near = compareBy({ tolerance: 0.01 });
    expect(await near(answer({ cost: 100 }), answer({ cost: 100.9 }))).toEqual([]);
    expect((await near(answer({ cost: 100 }), answer({ cost: 101.1 }))).length).toBe(1);
    expect(await near(answer('no', 400), answer({ code: 'INPUT_INVALID' }, 422))).toEqual([]);
    expect(await near(answer('no', 400), answer('yes'))).toEqual([
      { path: 'status', kind: 'value', old: 400, new: 200 },
    ]);
  });

  it('are looked at to a bound', async () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`n${i}`, i]));
    expect((await compareBy({})(answer(many), answer({}))).length).toBe(20);
    let [deep, other]: unknown[] = [1, 2];
    for (let i = 0; i < 5_000; i++) [deep, other] = [{ in: deep }, { in: other }];
    expect((await compareBy({})(answer(deep), answer(other))).length).toBe(1);
  });
});

describe('a difference in a report', () => {
  it('has no values unless they are asked for, and short ones then', () => {
    const difference = { path: 'body.text', kind: 'value', old: 'x'.repeat(1_000), new: 'y' } as const;
    expect(reportedDifference(difference, false)).toEqual({ path: 'body.text', kind: 'value' });
    expect(reportedDifference({ ...difference, new: [1, [2]] }, true).new).toBe('2 elements');
    const shown = reportedDifference(difference, true);
    expect([String(shown.old).length, shown.new]).toEqual([201, 'y']);
  });
});
