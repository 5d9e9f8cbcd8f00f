import { describe, expect, it } from 'vitest';
import { hasCode } from '../../core/errors.js';
import { loadClient } from './client-module.js';

const nothing = class {};
const client = (version: string | undefined): Record<string, unknown> => ({
  ...(version === undefined ? {} : { clientSoftwareVersion: version }),
  Producer: nothing,
  Consumer: nothing,
  Admin: nothing,
  compatibilityPartitioner: () => 0,
});
const unusable =
  (reason: RegExp) =>
  (error: unknown): boolean =>
    hasCode(error, 'KAFKA_CLIENT_UNUSABLE') && reason.test(error.message);

describe('loadClient', () => {
  it('takes a client that loses nothing, under a Node that can run it', async () => {
    for (const version of ['2.3.0', '2.12.1', '3.0.0'])
      expect(await loadClient(async () => client(version), '22.22.0')).toMatchObject({
        clientSoftwareVersion: version,
      });
    expect(await loadClient(async () => client('2.12.1'), '24.1.0')).toBeDefined();
  });

  it.each(['20.19.0', '22.21.9', 'unknown'])('refuses Node %s before it loads anything', async (version) => {
    let loaded = false;
    const load = async (): Promise<unknown> => {
      loaded = true;
      return client('2.12.1');
    };
    await expect(loadClient(load, version)).rejects.toSatisfy(unusable(/needs Node 22\.22 or later, and this is/));
    expect(loaded).toBe(false);
  });

  it.each(['1.35.0', '2.0.0', '2.2.3', undefined])('refuses version %s of the client', async (version) => {
    await expect(loadClient(async () => client(version), '22.22.0')).rejects.toSatisfy(unusable(/loses records/));
  });

  it('says what is missing', async () => {
    const missing = Promise.reject(new Error('Cannot find package'));
    missing.catch(() => undefined);
    await expect(loadClient(() => missing, '22.22.0')).rejects.toSatisfy(unusable(/could not be loaded/));
    await expect(loadClient(async () => ({ Producer: nothing }), '22.22.0')).rejects.toSatisfy(
      unusable(/is not @platformatic/),
    );
  });
});
