import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { limits } from '../../src/core/limits.js';
import { tableRows } from './markdown.js';

const rows = tableRows(readFileSync(new URL('../../docs/reference/limits.md', import.meta.url), 'utf8'));
const documented = new Map(rows.map(([name = '', value = '']) => [name.replaceAll('`', ''), Number(value)]));

describe('docs/reference/limits.md', () => {
  it('lists every limit with its value, and no others', () => {
    expect(Object.fromEntries(documented)).toEqual(limits);
  });

  it('lists each limit once', () => {
    expect(rows).toHaveLength(documented.size);
  });
});
