import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { accessActions, accessKinds } from '../../src/core/access/permission.js';
import type { RouteNeeds } from '../../src/protocol/route-needs.js';
import { routes, type Route } from '../../src/protocol/routes.js';

const page = new URL('../../docs/reference/permissions.md', import.meta.url);

/** Writes the page instead of comparing it, with `EVENTSPINE_WRITE_DOCS=1`. */
const isWriting = process.env['EVENTSPINE_WRITE_DOCS'] === '1';

function placeOf({ segment, of: thing }: RouteNeeds): string {
  if (segment === undefined) return 'of each; others are left out';
  return thing === undefined ? `\`{${segment}}\`` : `what \`{${segment}}\` belongs to`;
}

function rendered(): string {
  const rows = Object.values(routes).flatMap(({ method, path, needs }: Route) =>
    needs === null
      ? []
      : [
          `| \`${method} ${path}\` | ${[needs, ...(needs.or === undefined ? [] : [needs.or])]
            .flatMap(({ action, kind }) => [action].flat().map((one) => `\`${one}:${kind}\``))
            .join(', ')} | ${placeOf(needs)} |`,
        ],
  );
  const kinds = accessKinds.map(
    (kind) => `| \`${kind}\` | ${accessActions[kind].map((action) => `\`${action}\``).join(', ')} |`,
  );
  return `# Permissions

What a caller may do within its tenant is a list of texts \`action:kind/pattern\`; [access](../concepts/access.md) says what
they mean. \`*\` stands for every action, or with \`*\` as the kind for everything of all kinds; in a pattern \`*\` means any
characters but a dot, \`**\` any.

| kind | actions |
| --- | --- |
${kinds.join('\n')}

Routes of workers, operators and admins ask for the role and for no permission. All others need one of these, on the name
that stands in the path, or on the workflow or topic of the thing that does. This list is written from
\`src/protocol/route-needs.ts\`; a test compares them
(\`EVENTSPINE_WRITE_DOCS=1 npx vitest run test/docs/permissions.test.ts\` writes it anew).

| route | one of | on |
| --- | --- | --- |
${rows.join('\n')}
`;
}

describe('docs/reference/permissions.md', () => {
  it('lists what each route needs, and no others', () => {
    if (isWriting) writeFileSync(page, rendered());
    expect(readFileSync(page, 'utf8')).toBe(rendered());
  });
});
