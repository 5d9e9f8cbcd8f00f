/** Blobs, their references, and manifests. */
import assert from 'node:assert/strict';
import { applyAll, inBlob, move, start, tenant } from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'blobs and manifests';
const hour = 60 * 60_000;

export const blobCases: readonly StoreCase[] = [
  ...[0, 1, 4_096, 9_000_001].map(
    (size): StoreCase => ({
      concern,
      name: `round-trips a blob of ${size} bytes`,
      run: async ({ store }) => {
        const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 7) % 256);
        await store.putBlob(tenant, 'h', bytes);
        assert.deepEqual(await store.readBlob(tenant, 'h'), bytes);
      },
    }),
  ),
  {
    concern,
    name: 'keeps the blobs of tenants apart',
    run: async ({ store }) => {
      await store.putBlob(tenant, 'h', new Uint8Array([1]));
      assert.equal(await store.readBlob('other', 'h'), null);
      assert.equal(await store.readBlob(tenant, 'x'), null);
    },
  },
  {
    concern,
    name: 'does not share the bytes of a blob with the caller',
    run: async ({ store }) => {
      const bytes = new Uint8Array([1, 2]);
      const put = store.putBlob(tenant, 'h', bytes);
      bytes.fill(9);
      await put;
      const read = await store.readBlob(tenant, 'h');
      read?.fill(8);
      assert.deepEqual(await store.readBlob(tenant, 'h'), new Uint8Array([1, 2]));
    },
  },
  {
    concern,
    name: 'stores the same blob once',
    run: async ({ store, clock }) => {
      await store.putBlob(tenant, 'h', new Uint8Array([1]));
      await store.putBlob(tenant, 'h', new Uint8Array([1]));
      clock.advance(hour + 1);
      assert.equal((await store.expire(9)).blobs, 1);
    },
  },
  {
    concern,
    name: 'stores a blob in the transition that refers to it',
    run: async ({ store }) => {
      await applyAll(store, { ...start({ payload: inBlob('h') }), blobs: [{ hash: 'h', bytes: new Uint8Array([5]) }] });
      assert.deepEqual(await store.readBlob(tenant, 'h'), new Uint8Array([5]));
    },
  },
  {
    concern,
    name: 'deletes a blob without references after an hour, not before',
    run: async ({ store, clock }) => {
      await store.putBlob(tenant, 'h', new Uint8Array([1]));
      clock.advance(hour);
      assert.equal((await store.expire(9)).blobs, 0);
      clock.advance(1);
      assert.equal((await store.expire(9)).blobs, 1);
      assert.equal(await store.readBlob(tenant, 'h'), null);
    },
  },
  {
    concern,
    name: 'begins the hour anew when a blob is put again',
    run: async ({ store, clock }) => {
      await store.putBlob(tenant, 'h', new Uint8Array([1]));
      clock.advance(hour);
      await store.putBlob(tenant, 'h', new Uint8Array([1]));
      clock.advance(hour);
      assert.equal((await store.expire(9)).blobs, 0);
    },
  },
  {
    concern,
    name: 'keeps a blob as long as any event refers to it',
    run: async ({ store, clock }) => {
      await store.putBlob(tenant, 'h', new Uint8Array([1]));
      await applyAll(
        store,
        start({ payload: inBlob('h'), row: { status: 'succeeded', expiresAt: clock.now() + 1 } }),
        start({ run: 'run_2', payload: inBlob('h') }),
        move({ run: 'run_2', head: 1, payload: inBlob('h') }),
      );
      clock.advance(2 * hour);
      assert.deepEqual(await store.expire(9), { runs: 1, dedupe: 0, blobs: 0 });
      assert.deepEqual(await store.readBlob(tenant, 'h'), new Uint8Array([1]));
      await applyAll(store, move({ run: 'run_2', head: 2, row: { status: 'succeeded', expiresAt: clock.now() } }));
      assert.deepEqual(await store.expire(9), { runs: 1, dedupe: 0, blobs: 1 });
      assert.equal(await store.readBlob(tenant, 'h'), null);
    },
  },
  {
    concern,
    name: 'refuses a blob that cannot be named',
    run: async ({ store }) => {
      await assert.rejects(store.putBlob(tenant, 'h\0', new Uint8Array([1])), { code: 'VALUE_UNSTORABLE' });
      assert.equal(await store.readBlob(tenant, 'h'), null);
      assert.equal(await store.readBlob(tenant, 'h\0'), null);
    },
  },
  {
    concern,
    name: 'saves manifests once per app and hash, in the order of registration',
    run: async ({ store }) => {
      const row = (app: string, hash: string, registeredAt: number) => ({
        app,
        hash,
        manifest: '{"v":1}',
        registeredAt,
      });
      await store.saveManifest(row('b', 'h1', 2));
      await store.saveManifest(row('a', 'h1', 1));
      await store.saveManifest(row('a', 'h2', 3));
      await store.saveManifest(row('a', 'h1', 5));
      assert.deepEqual(await store.listManifests(), [row('b', 'h1', 2), row('a', 'h2', 3), row('a', 'h1', 5)]);
    },
  },
];
