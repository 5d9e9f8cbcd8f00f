import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { errorCatalogue } from '../../src/core/errors.js';

const page = new URL('../../docs/reference/errors.md', import.meta.url);

/** Writes the page instead of comparing it, with `EVENTSPINE_WRITE_DOCS=1`. */
const isWriting = process.env['EVENTSPINE_WRITE_DOCS'] === '1';

const entries = Object.entries(errorCatalogue)
  .map(([code, { kind, status, mend }]) => ({ code, kind, status, mend }))
  .sort((a, b) => (a.code < b.code ? -1 : 1));

function rendered(): string {
  const rows = entries.map(
    ({ code, kind, status, mend }) => `| \`${code}\` | ${kind} | ${status} | ${mend.replaceAll('|', '\\|')} |`,
  );
  return `# Errors

Every error of Eventspine has a code. The code is stable and is never given to another error; the wording is not stable.
Over HTTP an error is a problem document (RFC 9457): \`type\` is \`urn:eventspine:error:<code>\`, and \`code\`, \`mend\` and
\`retryable\` are members of their own. \`eventspine explain <code>\` prints the mend.

What a caller may do depends on the kind:

| kind | meaning |
| --- | --- |
| \`invalid\` | mend the request; sending it again unchanged fails again |
| \`conflict\` | look at the present state, then decide |
| \`notFound\` | it is not there, or it is another tenant's |
| \`transient\` | try again, not before \`Retry-After\` where there is one |
| \`terminal\` | never try again; the outcome is final |
| \`internal\` | a fault of Eventspine or of its disk; the reference is in the server's log |

This list is written from \`src/core/errors.ts\`; a test compares them
(\`EVENTSPINE_WRITE_DOCS=1 npx vitest run test/docs/errors.test.ts\` writes it anew).

| code | kind | status | what to do |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
}

describe('docs/reference/errors.md', () => {
  it('lists every error with its kind, status and mend, and no others', () => {
    if (isWriting) writeFileSync(page, rendered());
    expect(readFileSync(page, 'utf8')).toBe(rendered());
  });
});

describe('the error catalogue', () => {
  it.each(entries)('$code says what to do, in a status that fits its kind', ({ code, kind, status, mend }) => {
    expect(code).toMatch(/^[A-Z]+(?:_[A-Z]+)*$/);
    expect(mend).toMatch(/^[A-Z].*\.$/s);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(600);
    if (kind === 'invalid') expect(status).toBeLessThan(500);
    if (kind === 'notFound') expect(status).toBe(404);
    if (kind === 'internal') expect(status).toBe(500);
  });
});
