const retry = { attempts: 3, minMs: 10, maxMs: 100, factor: 2 };
const workflow = {
  version: null,
  previous: [],
  input: null,
  on: null,
  completes: null,
  priority: 5,
  timeoutMs: null,
  retainMs: null,
  deadlineMs: 60_000,
  retry,
};

/** The definitions that the scripts beside this file work with. */
export const manifest = {
  format: 1,
  app: 'process-tests',
  topics: [],
  workflows: [{ ...workflow, name: 'noop' }],
  capabilities: [],
};
