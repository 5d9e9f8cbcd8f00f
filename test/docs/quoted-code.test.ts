import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** Code in guides that says where it is from stands there as quoted, so that what readers copy is what the tests run. */
const root = new URL('../../', import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, root), 'utf8');
const guides = readdirSync(new URL('docs/guides/', root)).map((file) => `docs/guides/${file}`);
const quoted = guides.flatMap((guide) =>
  [...read(guide).matchAll(/```\w+\n\/\/ from (\S+)\n([\s\S]*?)```/g)].map(
    ([, file = '', code = '']) => [guide, file, code] as const,
  ),
);

describe('quoted code', () => {
  it.each(quoted)('of %s stands in %s', (_, file, code) => {
    expect(read(file)).toContain(code.trimEnd());
  });

  it('is there at all', () => {
    expect(quoted.length).toBeGreaterThan(2);
  });
});
