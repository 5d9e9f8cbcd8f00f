/** Two engines over one store: keys made, rotated and revoked on either. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readKeyText } from '../../core/keys/key-text.js';
import { limits } from '../../core/limits.js';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore } from '../../store/memory.js';
import type { EntryQuery, Store, Transition } from '../../store/contract.js';
import { MemoryData } from '../../store/memory-data.js';
import type { KeyOrder, Origin } from '../api.js';
import { createEngine } from '../engine.js';
import { systemTenant } from '../system-tenant.js';

const origin: Origin = { tenant: 'default', actor: 'client:ada', traceparent: null, correlation: null };
const order: KeyOrder = {
  name: 'billing',
  tenant: 'acme',
  roles: [],
  permissions: ['start:workflow/invoice'],
  clearances: null,
  expiresMs: 60_000,
};

function installation(wrap: (store: Store) => Store = (store) => store) {
  const time = { now: 1_800_000_000_000 };
  const ports = { ...nodePorts, clock: { now: () => time.now, monotonicMs: () => time.now } };
  const data = new MemoryData();
  const open = () => createMemoryStore({ clock: ports.clock, data, shared: true });
  const engine = () => createEngine({ store: wrap(open()), ports });
  return { time, store: open(), one: engine(), other: engine() };
}

/** The store, of which reads and writes take place in an order that the scheduler finds. */
function shuffled(store: Store, scheduler: fc.Scheduler): Store {
  return Object.assign(Object.create(store) as Store, {
    now: () => store.now(),
    readEntries: async (query: EntryQuery) => {
      await scheduler.schedule(Promise.resolve());
      return await store.readEntries(query);
    },
    apply: async (transitions: readonly Transition[]) => {
      await scheduler.schedule(Promise.resolve());
      return await store.apply(transitions);
    },
  });
}

function idOf(text: string): string {
  return readKeyText(text)?.id ?? '';
}

function hashOf(text: string): string {
  return nodePorts.hash.sha256(readKeyText(text)?.secret ?? '');
}

describe('API keys in the store', () => {
  it('are found by id from every engine, with a digest and never with their text', async () => {
    const { one, other, store } = installation();
    const made = await one.createKey(origin, order);
    expect(await other.keyOf(idOf(made.key))).toMatchObject({
      name: 'billing',
      tenant: 'acme',
      createdBy: 'client:ada',
      secrets: [{ hash: hashOf(made.key), until: null }],
    });
    expect(await other.keyOf('key_none')).toBeNull();
    const { key: text, ...view } = made;
    expect(await other.readKey('acme', 'billing')).toEqual(view);
    const read = async (space: string) =>
      (await store.readEntries({ tenant: systemTenant, space, limit: 10 })).map(({ value }) => value);
    const stored = [...(await read('api-key')), ...(await read('api-key-name')), ...(await read('api-key-use'))].join();
    expect(stored).toContain(hashOf(text));
    expect(stored).not.toContain(readKeyText(text)?.secret);
  });

  it('are of one tenant: another sees none, and may have the same names', async () => {
    const { one } = installation();
    await one.createKey(origin, order);
    await one.createKey(origin, { ...order, tenant: 'other' });
    expect((await one.listKeys('acme', {})).items.map(({ name, tenant }) => [name, tenant])).toEqual([
      ['billing', 'acme'],
    ]);
    await expect(one.readKey('third', 'billing')).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    await expect(one.revokeKey(origin, 'third', 'billing')).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    await expect(one.rotateKey('third', 'billing', 0)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
  });

  it('have one name once while they are good, whoever makes them', async () => {
    const { one, other, time } = installation();
    const made = await Promise.allSettled([one, other, one, other].map((engine) => engine.createKey(origin, order)));
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await expect(other.createKey(origin, order)).rejects.toMatchObject({ code: 'KEY_EXISTS' });
    time.now += 60_000;
    const former = (await one.readKey('acme', 'billing')).id;
    const next = await other.createKey(origin, order);
    expect(next.id).not.toBe(former);
    expect(await one.keyOf(former)).toBeNull();
  });

  it('expire, and are ended once and for ever', async () => {
    const { one, other, time } = installation();
    const { id } = await one.createKey(origin, order);
    time.now += 1_000;
    const revoked = await other.revokeKey(origin, 'acme', 'billing');
    expect(revoked).toMatchObject({ state: 'revoked', revokedBy: 'client:ada' });
    time.now += 1_000;
    expect(await one.revokeKey({ ...origin, actor: 'client:eve' }, 'acme', 'billing')).toEqual(revoked);
    await expect(one.rotateKey('acme', 'billing', 0)).rejects.toMatchObject({ code: 'KEY_ENDED' });
    expect((await one.keyOf(id))?.revoked).not.toBeNull();
  });

  it('have the text before the last for as long as it overlaps, and no third', async () => {
    const { one, time } = installation();
    const first = await one.createKey(origin, { ...order, expiresMs: null });
    const second = await one.rotateKey('acme', 'billing', 10_000);
    expect(second).toMatchObject({
      id: first.id,
      expiresAt: null,
      formerUntil: new Date(time.now + 10_000).toISOString(),
    });
    const key = await one.keyOf(first.id);
    expect(key?.secrets).toEqual([
      { hash: hashOf(second.key), until: null },
      { hash: hashOf(first.key), until: time.now + 10_000 },
    ]);
    const third = await one.rotateKey('acme', 'billing', 0);
    expect((await one.keyOf(first.id))?.secrets).toEqual([{ hash: hashOf(third.key), until: null }]);
  });

  it('stay revoked whatever else is done to them at the same time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
        async (scheduler, sides) => {
          const { one, other } = installation((store) => shuffled(store, scheduler));
          const { id } = await scheduler.waitFor(one.createKey(origin, order));
          const rotations = sides.map(async (isOne) => {
            await (isOne ? one : other).rotateKey('acme', 'billing', 5_000).catch((error: unknown) => {
              expect(error).toMatchObject({ code: 'KEY_ENDED' });
            });
          });
          await scheduler.waitFor(Promise.all([other.revokeKey(origin, 'acme', 'billing'), ...rotations]));
          expect((await scheduler.waitFor(one.keyOf(id)))?.revoked).not.toBeNull();
        },
      ),
      { numRuns: 50 },
    );
  });

  it('are listed by name, page by page', async () => {
    const { one } = installation();
    for (const name of ['c', 'a', 'b']) await one.createKey(origin, { ...order, name });
    const first = await one.listKeys('acme', { limit: 2 });
    expect(first.items.map(({ name }) => name)).toEqual(['a', 'b']);
    const second = await one.listKeys('acme', { limit: 2, cursor: first.next ?? '' });
    expect([second.items.map(({ name }) => name), second.next]).toEqual([['c'], null]);
  });

  it('make room when there are as many as there may be: those that have ended go', async () => {
    const { one } = installation();
    for (let i = 0; i < limits.apiKeysPerTenantMax; i++) await one.createKey(origin, { ...order, name: `k${i}` });
    await expect(one.createKey(origin, order)).rejects.toMatchObject({ code: 'KEY_INVALID' });
    await one.revokeKey(origin, 'acme', 'k7');
    await one.createKey(origin, order);
    await expect(one.readKey('acme', 'k7')).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
  });

  it.each<[string, Partial<KeyOrder>]>([
    ['name', { name: '' }],
    ['name', { name: ' a' }],
    ['name', { name: 'a\nb' }],
    ['name', { name: 'a'.repeat(limits.nameLengthMax + 1) }],
    ['tenant', { tenant: '' }],
    ['tenant', { tenant: 'a'.repeat(limits.tenantLengthMax + 1) }],
    ['role', { roles: [''] }],
    ['roles', { roles: new Array(limits.apiKeyRolesMax + 1).fill('a') }],
    ['pattern', { permissions: ['start'] }],
    ['clearance', { clearances: ['\u0000'] }],
    ['expire', { expiresMs: 0 }],
    ['expire', { expiresMs: 1.5e3 + 0.5 }],
    ['expire', { expiresMs: limits.apiKeyMsMax + 1 }],
  ])('are refused with a wrong %s', async (word, wrong) => {
    const { one } = installation();
    await expect(one.createKey(origin, { ...order, ...wrong })).rejects.toMatchObject({
      code: 'KEY_INVALID',
      message: expect.stringContaining(word) as string,
    });
  });
});
