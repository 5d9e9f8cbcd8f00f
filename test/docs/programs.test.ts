import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { describeUnless } from '../skip.js';

/** Whole programs of pages under docs/, run as they stand against the built package, and what they print. */
const programs: readonly { readonly page: string; readonly file: string; readonly prints: string }[] = [
  {
    page: 'concepts/bodies.md',
    file: 'letters.ts',
    prints: `{
  greeting: 'Dear Ann (attempt 3)',
  translated: [ 'ONE', 'TWO' ],
  sent: 'post',
  stamp: 'NO_STAMPS'
}
`,
  },
  {
    page: 'guides/live.md',
    file: 'board.ts',
    prints: "order-7 { order: 'order-7', to: 'packed' }\norder-7 { order: 'order-7', to: 'sent' }\n",
  },
  { page: 'concepts/waits.md', file: 'order.ts', prints: '{ paid: true, cents: 300, parcel: 7 }\n' },
  { page: 'concepts/schemas.md', file: 'person.ts', prints: 'Ada, of any age\nBo, 79\n' },
  { page: 'concepts/subscriptions.md', file: 'reviews.ts', prints: "[ 'audit', 'audit', 'review' ]\n" },
  {
    page: 'concepts/topics.md',
    file: 'meters.ts',
    prints: `[
  { id: 'm7/1', topic: 'meter.read', duplicate: false, runs: [] },
  { id: 'm7/2', topic: 'meter.read', duplicate: false, runs: [] },
  {
    id: 'm7/5',
    topic: 'meter.read',
    duplicate: false,
    runs: [],
    gap: { from: 3, to: 4 }
  },
  {
    id: 'm7/3',
    topic: 'meter.read',
    duplicate: false,
    runs: [],
    late: 'dropped'
  }
]
0 { kwh: 10 }
1 { kwh: 20 }
2 { kwh: 50 }
`,
  },
  {
    page: 'concepts/agents.md',
    file: 'agents.ts',
    prints: "{ answer: 'as you said: dislikes coffee' }\n{ answered: 1 }\n",
  },
  { page: 'guides/triage.md', file: 'triage.ts', prints: 'rate_limited retry_after_delay true 432\n' },
  { page: 'concepts/inference.md', file: 'judge.ts', prints: 'spam\n1200 1\n' },
  {
    page: 'concepts/failures.md',
    file: 'remedies.ts',
    prints: 'large, after context_length_exceeded: reroute\n',
  },
  {
    page: 'guides/redaction.md',
    file: 'refunds.ts',
    prints: `{ order: 'o-7', cents: 300 }
run.started { order: 'o-7', email: { redacted: [ 'pii' ] }, cents: 300 }
step.completed { redacted: [ 'pii' ] }
run.succeeded { order: 'o-7', cents: 300 }
`,
  },
  {
    page: 'guides/consumers.md',
    file: 'audit.ts',
    prints: 'ann paid 300\nann paid 1200\nsubscription:audit Nack: no such amount\n',
  },
  {
    page: 'guides/access.md',
    file: 'access.ts',
    prints: 'The answer? 42.\nPERMISSION_MISSING\nUNAUTHENTICATED\n',
  },
  {
    page: 'guides/webhooks-in.md',
    file: 'shop.ts',
    prints:
      "202 { id: 'evt_1', topic: 'order.paid', duplicate: false }\n202 { id: 'evt_1', topic: 'order.paid', duplicate: true }\n",
  },
  { page: 'guides/webhooks-in.md', file: 'receive.ts', prints: "{ received: 'msg_1' }\n" },
  { page: 'guides/webhooks-out.md', file: 'shop.ts', prints: "order.placed { id: 'o1', cents: 4200 }\n" },
  {
    page: 'guides/approvals.md',
    file: 'review.ts',
    prints:
      "Publish this? role:editor user:ann\n{ published: true, url: 'https://example.org/hello', by: 'user:eve' }\n",
  },
];

const root = fileURLToPath(new URL('../../', import.meta.url));
const built = existsSync(join(root, 'dist/spine/index.js'));

describeUnless(built ? null : 'the package is not built (npm run build)', 'programs of the docs', () => {
  // Inside of the package, because there its own name resolves; `dist/` is ignored by git and made anew by builds.
  const source = join(root, 'dist/.docs');
  afterAll(() => rmSync(source, { recursive: true, force: true }));

  it.each(programs)(
    'runs $file of $page',
    async ({ page, file, prints }) => {
      const text = readFileSync(join(root, 'docs', page), 'utf8');
      const program = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].find(([, code]) => code?.startsWith(`// ${file}\n`));
      mkdirSync(source, { recursive: true });
      writeFileSync(join(source, file), program?.[1] ?? '');
      const tsx = pathToFileURL(join(root, 'node_modules/tsx/dist/loader.mjs')).href;
      const { stdout } = await promisify(execFile)(process.execPath, ['--import', tsx, join(source, file)], {
        cwd: source,
        timeout: 25_000,
      });
      expect(stdout).toBe(prints);
    },
    60_000,
  );
});
