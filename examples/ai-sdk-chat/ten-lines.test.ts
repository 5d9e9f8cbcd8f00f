import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const linesOf = (file: string): string[] =>
  readFileSync(new URL(file, import.meta.url), 'utf8')
    .split('\n')
    .map((line) => line.trim())
    // Brackets and comments are no changes that anybody has to think of.
    .filter((line) => /[a-z]/i.test(line) && !line.startsWith('/*'));

it('a route is made durable in ten lines that change or are new', () => {
  const before = new Set(linesOf('before.ts'));
  const changed = linesOf('route.ts').filter((line) => !before.has(line));
  expect(changed.length).toBeLessThanOrEqual(10);
});
