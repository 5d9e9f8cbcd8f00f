/**
 * What `eventspine check` says of a build in which a body was edited under a run that waits: one edit of each kind, over
 * the stored history of the first build of the example `deploying`, by the command line that a user types.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const history = 'examples/deploying/histories/pending-in-build-1.json';

interface Said {
  readonly code: number;
  readonly report: unknown;
}

/** The exit code and the one line of the report. */
function check(app: string, ...flags: string[]): Promise<Said> {
  return new Promise((resolve, reject) => {
    const words = ['dist/cli/main.js', 'check', app, history, '--json', ...flags];
    execFile(process.execPath, words, { cwd: root }, (error, stdout, stderr) => {
      if (stdout === '') return reject(new Error(stderr));
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, report: JSON.parse(stdout) });
    });
  });
}

const edits = [
  {
    edit: 'removed',
    says: [{ level: 'note', kind: 'removed', path: 'spellcheck' }],
  },
  {
    edit: 'renamed',
    says: [{ level: 'warning', kind: 'renamed', path: 'draft', to: 'write' }],
  },
  {
    edit: 'reordered',
    says: [
      { level: 'note', kind: 'removed', path: 'draft' },
      { level: 'note', kind: 'removed', path: 'spellcheck' },
    ],
  },
  {
    edit: 'changed-kind',
    says: [
      { level: 'break', kind: 'changed', path: 'spellcheck' },
      { level: 'note', kind: 'removed', path: 'approval' },
      { level: 'break', kind: 'end' },
    ],
  },
] as const;

it('is told of every edit under a run that waits, and fails where the run would break', {
  timeout: 60_000,
}, async () => {
  const [same, ...edited] = await Promise.all([
    check('examples/deploying/build-1.ts', '--strict'),
    // Done a second time is a warning, and fails where warnings are to.
    ...edits.map(({ edit }) => check(`test/deploy/edits/${edit}.ts`, ...(edit === 'renamed' ? ['--strict'] : []))),
  ]);
  expect(same).toMatchObject({ code: 0, report: { verdict: 'same', changes: [] } });
  expect(edited).toMatchObject(
    edits.map(({ edit, says }) => ({
      code: edit === 'changed-kind' || edit === 'renamed' ? 1 : 0,
      report: { verdict: edit === 'changed-kind' ? 'breaking' : 'compatible', changes: says },
    })),
  );
});
