/** The demo is the first thing that a stranger runs: it must end well, and prove what it says. */
import { afterEach, expect, it } from 'vitest';
import { Child, endAll, root } from './support/processes.js';

afterEach(endAll);

it('ends with 0, and with a counter at the model that shows no finished step paid twice', async () => {
  const demo = new Child('npm', ['run', '--silent', 'demo', '--prefix', root]);
  const code = await demo.exited;
  const output = demo.lines.join('\n');
  expect({ code, tail: code === 0 ? '' : `${output.slice(-2000)}\n${demo.errors.join('\n')}` }).toEqual({
    code: 0,
    tail: '',
  });
  expect(output).toContain('Made again of those: none');
  const seconds = Number(/Whole demo\s+([\d.]+) s/.exec(output)?.[1] ?? Number.NaN);
  expect(seconds).toBeLessThan(60);
  for (const question of [
    'What state is it in?',
    'What has succeeded?',
    'What can be retried?',
    'What needs a person?',
    'What does the user see?',
  ]) {
    expect(output).toContain(question);
  }
}, 120_000);
