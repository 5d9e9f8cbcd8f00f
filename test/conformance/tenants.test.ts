import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe } from 'vitest';
import { sqlite } from '../../src/stores/sqlite/index.js';
import { itKeepsTenantsApart } from '../support/tenant-canaries.js';

const folder = mkdtempSync(join(tmpdir(), 'eventspine-tenants-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('tenants on SQLite', () => {
  itKeepsTenantsApart(() => ({ store: sqlite({ file: join(folder, 'spine.db') }) }));
});
