import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

it('runs under node:test as well', async () => {
  const file = fileURLToPath(new URL('newsletter.node.ts', import.meta.url));
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const options = { env, timeout: 60_000 };
  const given = ['--import', 'tsx', '--test', '--test-reporter', 'tap', file];
  const { stdout } = await promisify(execFile)(process.execPath, given, options);
  expect(stdout).toContain('# pass 1');
}, 70_000);
