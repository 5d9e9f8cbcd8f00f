/**
 * Counting what vitest recorded. Pure, because a runner that counts wrongly makes every other test worthless.
 * Invariant: a run that did not end well never has a tally without a failure.
 */
import { relative } from 'node:path';

/**
 * `report` is the output of vitest's JSON reporter, or null where there is none; `code` the exit code of the run; `root`
 * the folder to which paths are shown. Gives counts of tests, what was left out with the reason (the title of the
 * skipped test), and remarks for people on failures that no test stands for.
 */
export function tallyOf(project, report, code, root) {
  const tally = { passed: 0, failed: 0, skipped: 0 };
  const leftOut = [];
  const remarks = [];
  if (report === null) {
    remarks.push(`Project ${project} ended with exit code ${code} and without a report.`);
    return { tally: { ...tally, failed: 1 }, leftOut, remarks };
  }
  for (const { name: path, status, assertionResults } of report.testResults) {
    const file = relative(root, path);
    // A file that could not be loaded, or failed outside of its tests.
    if (status === 'failed' && !assertionResults.some((result) => result.status === 'failed')) {
      tally.failed += 1;
      remarks.push(`${file} failed outside of its tests.`);
    }
    for (const result of assertionResults) {
      if (result.status === 'passed') tally.passed += 1;
      else if (result.status === 'failed') tally.failed += 1;
      else {
        tally.skipped += 1;
        leftOut.push({ name: [file, ...result.ancestorTitles].join(' > '), reason: reasonOf(result.title) });
      }
    }
  }
  if (tally.failed === 0 && tally.passed + tally.skipped === 0) {
    tally.failed = 1;
    remarks.push(`Project ${project} has no tests.`);
  } else if (tally.failed === 0 && code !== 0) {
    tally.failed = 1;
    remarks.push(`Project ${project} ended with exit code ${code} although no test failed.`);
  }
  return { tally, leftOut, remarks };
}

/** `skipSuite` of test/skip.ts writes its reason into the title. */
function reasonOf(title) {
  return title.replace(/^left out: /, '');
}
