import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { chooseStore, existingStore, type StoreSearch } from './store-choice.js';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const file = 'data/spine.db';
const url = 'postgres://ann:secret@db.internal:5433/spine?sslmode=require';

function choose(search: Partial<StoreSearch>, environment: { store?: string; databaseUrl?: string } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-store-'));
  folders.push(folder);
  const io = {
    folder,
    environment: {
      url: '',
      token: undefined,
      store: environment.store,
      databaseUrl: environment.databaseUrl,
      directUrl: undefined,
      pushSecret: undefined,
    },
  };
  const chosen = chooseStore({ given: undefined, defaultFile: file, databaseUrl: true, ...search }, io);
  return { folder, io, chosen };
}

describe('the store of a command', () => {
  it('is the default file, whose folder is made', async () => {
    const { folder, chosen } = choose({});
    expect(await chosen).toMatchObject({ place: join(folder, file), factory: { name: 'sqlite' } });
    expect([existsSync(join(folder, 'data')), existsSync(join(folder, file))]).toEqual([true, false]);
  });

  it('is named by the flag, else by EVENTSPINE_STORE, else by DATABASE_URL', async () => {
    const all = { store: 'second.db', databaseUrl: url };
    expect((await choose({ given: 'first.db' }, all).chosen).place).toMatch(/first\.db$/);
    expect((await choose({}, all).chosen).place).toMatch(/second\.db$/);
    expect(await choose({}, { databaseUrl: url }).chosen).toMatchObject({ factory: { name: 'postgres' } });
  });

  it('is not the database of the app where that does not count, nor one that is not PostgreSQL', async () => {
    expect((await choose({ databaseUrl: false }, { databaseUrl: url }).chosen).factory.name).toBe('sqlite');
    expect((await choose({}, { databaseUrl: 'mysql://h/d' }).chosen).factory.name).toBe('sqlite');
  });

  it.each([url, url.replace('postgres:', 'postgresql:'), url.replace('postgres:', 'POSTGRES:')])(
    'is shown without a password: %s',
    async (given) => {
      const { place } = await choose({ given }).chosen;
      expect(place).toMatch(/^postgres(ql)?:\/\/db\.internal:5433\/spine$/);
    },
  );

  it.each(['mysql://ann:secret@host/db', 'postgres://ann:secret@[', 'https://ann:secret@example.com'])(
    'is not %s, and the complaint has no password in it',
    async (given) => {
      const failure = await choose({ given }).chosen.then(
        () => new Error('it was taken'),
        (error: unknown) => error as Error & { code?: string },
      );
      expect(failure).toMatchObject({ code: 'COMMAND_INVALID' });
      expect(failure.message).not.toContain('secret');
    },
  );

  it('that has to be there already is not made', async () => {
    const { folder, io } = choose({});
    await expect(existingStore('missing.db', io)).rejects.toMatchObject({ code: 'COMMAND_INVALID' });
    expect(existsSync(join(folder, 'missing.db'))).toBe(false);
    expect((await existingStore(url, io)).factory.name).toBe('postgres');
  });
});
