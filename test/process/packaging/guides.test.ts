/** The code in the guides is that of the fixtures which the tests beside this one install and run. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const guides = {
  hono: 'hono',
  next: 'next',
  monorepo: 'workspace',
  'own-worker': 'workspace',
  react: 'next',
  mounts: 'mounts',
};

interface CodeBlock {
  readonly file: string;
  readonly code: string;
}

/** Code blocks whose first line is a comment with the name of a file. */
function codeBlocks(markdown: string): CodeBlock[] {
  return [...markdown.matchAll(/^```\w+\n(?:\/\/|#) (\S+\.\w+)\n([\s\S]*?)\n```$/gm)].map(
    ([, file = '', code = '']) => ({
      file,
      code,
    }),
  );
}

describe('the code in the guides', () => {
  it.each(Object.entries(guides))('%s stands in the fixture %s', (guide, fixture) => {
    const blocks = codeBlocks(readFileSync(new URL(`../../../docs/guides/${guide}.md`, import.meta.url), 'utf8'));
    expect(blocks.length).toBeGreaterThan(0);
    for (const { file, code } of blocks) {
      expect(readFileSync(new URL(`fixtures/${fixture}/${file}`, import.meta.url), 'utf8'), file).toContain(code);
    }
  });
});
