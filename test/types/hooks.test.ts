/** Types of the hooks and of a page: what is inferred from the type of an app, and what must not compile. */
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { ResultFor, WorkflowFor } from '../../src/client/index.js';
import { createPage, type RunSnapshot } from '../../src/page/index.js';
import { createHooks } from '../../src/react/index.js';
import type { App } from './design-program.js';

const { useRun, useStart, useProgress, useApprovals, useApproval, page } = createHooks<App>();

/** Hooks are called in views only; here their types are looked at, and nothing is called. */
function Types(): void {
  const answer = useRun('answer', 'run_1');
  if (answer.phase === 'succeeded') {
    expectTypeOf(answer.result).toEqualTypeOf<ResultFor<App, 'answer'>>();
    if (answer.result.published) expectTypeOf(answer.result.url).toEqualTypeOf<string>();
    expectTypeOf(answer.result.published).toEqualTypeOf<boolean>();
    expectTypeOf(answer.run).toEqualTypeOf<string>();
  }
  if (answer.phase === 'failed' || answer.phase === 'unavailable') expectTypeOf(answer.error).toEqualTypeOf<Error>();
  if (answer.phase === 'pending') expectTypeOf(answer.result).toEqualTypeOf<undefined>();
  expectTypeOf(useRun('ingest', null).result).toEqualTypeOf<number | undefined>();
  expectTypeOf(useRun('ingest', { run: 'run_1', token: 't' }).progress).toBeUnknown();
  // @ts-expect-error: there is no such workflow
  useRun('answr', 'run_1');

  const { start, run } = useStart('answer', { remember: 'answer' });
  expectTypeOf(run).toEqualTypeOf<{
    readonly run: string;
    readonly token?: string;
    readonly expiresAt?: string;
  } | null>();
  void start({ question: 'why?', tenant: 'acme' });
  // @ts-expect-error: the input lacks its tenant
  void start({ question: 'why?' });
  // @ts-expect-error: the name under which it is remembered is the hook's to say
  void start({ question: 'why?', tenant: 'acme' }, { remember: 'x' });

  const [listed] = useApprovals({ to: 'role:editor' }).approvals;
  expectTypeOf(listed?.workflow).toEqualTypeOf<WorkflowFor<App> | undefined>();
  // @ts-expect-error: there is no such workflow, whose approval this could be
  if (listed?.workflow === 'answr') return;
  const review = useApproval<{ text: string }, { draft: string }>(listed?.id);
  if (review.phase === 'open' || review.phase === 'settled') {
    expectTypeOf(review.approval.show.draft).toEqualTypeOf<string>();
    expectTypeOf(review.approval.workflow).toEqualTypeOf<WorkflowFor<App>>();
  } else expectTypeOf(review.approval).toEqualTypeOf<null>();
  void review.approve({ form: { text: 'fine' } });
  // @ts-expect-error: the form asks for a text
  void review.approve({ form: { txt: 'fine' } });
  void review.reject({ comment: 'no' });
  expectTypeOf(page.approvals().get().approvals[0]?.workflow).toEqualTypeOf<WorkflowFor<App> | undefined>();

  expectTypeOf(useProgress('answer', 'run_1')).toBeUnknown();
  expectTypeOf(useProgress('answer', 'run_1', (value) => Number(value))).toEqualTypeOf<number | undefined>();
  expectTypeOf(page.watch('ingest', 'run_1').get()).toEqualTypeOf<RunSnapshot<number>>();
  void page.start('ingest', { document: { id: 'd', bytes: 1 }, at: 'now' });
  // @ts-expect-error: an input of another workflow
  void page.start('ingest', { question: 'why?', tenant: 'acme' });
}

describe('types of hooks', () => {
  it('are those of the app', () => {
    expect(Types).toBeTypeOf('function');
  });

  it('without an app let every name and value pass', () => {
    const untyped = createPage();
    expectTypeOf(untyped.watch('anything', 'run_1').get().result).toBeUnknown();
    expectTypeOf(untyped.start).parameter(0).toEqualTypeOf<string>();
  });
});
