/** Approvals in pages of users on a real spine: who sees and decides what, by session and by token. */
import { afterEach, describe, expect, it } from 'vitest';
import { createPage, type Page } from '../page/index.js';
import { defineApp, workflow } from '../workflow/index.js';
import { createSpine, type Mountable, type Spine } from './create-spine.js';
import { memory } from './memory.js';

/** A form that takes a text, without a library for schemas. */
const edit = {
  '~standard': {
    version: 1 as const,
    vendor: 'test',
    validate: (value: unknown) =>
      typeof (value as { text?: unknown } | null)?.text === 'string'
        ? { value: value as { text: string } }
        : { issues: [{ message: 'text is missing', path: ['text'] }] },
    jsonSchema: {
      input: () => ({ type: 'object', properties: { text: { type: 'string' } }, required: ['text'] }),
      output: () => ({ type: 'object' }),
    },
  },
};

const publish = workflow('publish', {}, async (ctx, to: unknown) => {
  const review = await ctx.approve('review', {
    to: to as 'role:editor',
    title: 'Publish?',
    show: { draft: 'helo' },
    form: edit,
  });
  return review.outcome === 'approved' ? { by: review.by, text: review.form.text } : { by: null, text: null };
});
const app = defineApp({ workflows: [publish] });

const open: Spine<typeof app>[] = [];
const stops: (() => void)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) stop();
  for (const spine of open.splice(0)) await spine.close();
});

function site(approvals = true): { readonly spine: Spine<typeof app>; readonly pages: Mountable } {
  const spine = createSpine(app, { store: memory(), server: { basePath: '/spine' } });
  open.push(spine);
  const pages = spine.pages({
    start: ['publish'],
    ...(approvals ? { approvals } : {}),
    authorize: (request) => {
      const [user, ...roles] = (request.headers.get('x-session') ?? '').split(' ');
      return user === undefined || user === '' ? null : { tenant: 'default', user, roles };
    },
  });
  return { spine, pages };
}

/** The page of a user: name, then roles. "" = without a session. */
function pageOf(pages: Mountable, session: string): Page<typeof app> {
  return createPage<typeof app>({
    url: 'http://app.example.com/spine',
    refresh: '50ms',
    fetch: (input, init) => {
      const request = new Request(input, init);
      if (session !== '') request.headers.set('x-session', session);
      return pages.fetch(request);
    },
  });
}

/** Resolves when what is watched is as it should be. */
function until<T>(
  watch: { get(): T; subscribe(listener: () => void): () => void },
  isSo: (now: T) => boolean,
): Promise<T> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (isSo(watch.get())) resolve(watch.get());
    };
    stops.push(watch.subscribe(look));
    look();
  });
}

async function asked(spine: Spine<typeof app>, to: string | readonly string[]): Promise<{ run: string; id: string }> {
  const run = await spine.start('publish', to);
  for await (const item of run.stream()) if (item.event === 'event' && item.data.type === 'wait.opened') break;
  const [found] = (await spine.approvals.list().page()).items.filter((one) => one.run === run.id);
  return { run: run.id, id: found?.id ?? '' };
}

describe('approvals in a page', () => {
  it('are listed for whom they are put to, and leave the list of everybody when one has decided', async () => {
    const { spine, pages } = site();
    const { run, id } = await asked(spine, ['role:editor', 'user:ann']);
    const ann = pageOf(pages, 'ann');
    const eve = pageOf(pages, 'eve editor').approvals();
    const inbox = await until(ann.approvals(), ({ approvals }) => approvals.length === 1);
    expect(inbox).toMatchObject({ phase: 'ready', approvals: [{ id, workflow: 'publish', title: 'Publish?' }] });
    await until(eve, ({ approvals }) => approvals.length === 1);
    const bob = await until(pageOf(pages, 'bob reader').approvals(), ({ phase }) => phase !== 'loading');
    expect(bob).toMatchObject({ phase: 'ready', approvals: [] });

    const watch = ann.approval<{ text: string }, { draft: string }>(id);
    const shown = await until(watch, ({ phase }) => phase === 'open');
    expect(shown.approval?.show.draft).toBe('helo');
    await expect(watch.approve({ form: { txt: 'hello' } as never })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      problem: { faults: [expect.stringContaining('text')] },
    });
    await watch.approve({ form: { text: 'hello' }, comment: 'fine' });
    expect(watch.get()).toMatchObject({ phase: 'settled', approval: { state: 'approved', by: 'user:ann' } });
    await until(ann.approvals(), ({ approvals }) => approvals.length === 0);
    await until(eve, ({ approvals }) => approvals.length === 0);
    expect(await spine.run<'publish'>(run).result()).toEqual({ by: 'user:ann', text: 'hello' });
  });

  it('show whoever comes second what was decided', async () => {
    const { spine, pages } = site();
    const { id } = await asked(spine, 'role:editor');
    const [first, second] = ['ann editor', 'eve editor'].map((who) => pageOf(pages, who).approval(id));
    if (first === undefined || second === undefined) throw new Error('two pages were made');
    await first.reject({ comment: 'no' });
    await expect(second.approve({ form: { text: 'x' } })).rejects.toMatchObject({ code: 'APPROVAL_SETTLED' });
    expect(second.get()).toMatchObject({ phase: 'settled', approval: { state: 'rejected', by: 'user:ann' } });
  });

  it('give a session no more than what is put to it, whatever its roles', async () => {
    const { spine, pages } = site();
    const { id } = await asked(spine, 'role:editor');
    for (const who of ['bob', 'ops operator', 'editor role:editor']) {
      const page = pageOf(pages, who);
      const hidden = await until(page.approval(id), ({ phase }) => phase === 'unavailable');
      expect(hidden.error).toMatchObject({ code: 'APPROVAL_NOT_FOUND' });
      await expect(page.approval(id).approve({ form: { text: 'x' } })).rejects.toMatchObject({
        code: 'APPROVAL_NOT_ADDRESSED',
      });
      for (const to of ['*', 'role:editor', ['user:ann']]) {
        const inbox = await until(page.approvals({ to }), ({ phase }) => phase !== 'loading');
        expect([who, inbox.error]).toMatchObject([who, { code: 'OUT_OF_SCOPE' }]);
      }
    }
    await expect(
      pageOf(pages, 'ann editor')
        .approval(id)
        .approve({ form: { text: 'x' }, as: { user: 'eve' } } as never),
    ).rejects.toMatchObject({ code: 'OUT_OF_SCOPE' });
    expect((await spine.approvals.get(id)).state).toBe('open');
  });

  it('are there only where the mount says so', async () => {
    const { spine, pages } = site(false);
    const { id } = await asked(spine, 'user:ann');
    const ann = pageOf(pages, 'ann');
    const inbox = await until(ann.approvals(), ({ phase }) => phase !== 'loading');
    expect(inbox).toMatchObject({ phase: 'unavailable', error: { code: 'OUT_OF_SCOPE' } });
    await expect(ann.approval(id).approve({ form: { text: 'x' } })).rejects.toMatchObject({ code: 'OUT_OF_SCOPE' });
  });

  it('are decided by a token that was made to decide, in the name of its user alone', async () => {
    const { spine, pages } = site();
    const { run, id } = await asked(spine, ['role:editor', 'user:ann']);
    const tokenOf = async (user: string, decides: boolean): Promise<string> =>
      (await spine.as({ tenant: 'default', user }).run(run).readToken({ decides })).token;
    const page = pageOf(pages, '');
    const reading = page.approval({ approval: id, token: await tokenOf('ann', false) });
    const seen = await until(reading, ({ phase }) => phase !== 'loading');
    expect(seen).toMatchObject({ phase: 'open', approval: { title: 'Publish?', show: null, form: null, notes: [] } });
    await expect(reading.approve({ form: { text: 'x' } })).rejects.toMatchObject({ code: 'OUT_OF_SCOPE' });
    // The role of eve is not in her token.
    const eve = page.approval({ approval: id, token: await tokenOf('eve', true) });
    await expect(eve.approve({ form: { text: 'x' } })).rejects.toMatchObject({ code: 'APPROVAL_NOT_ADDRESSED' });
    const other = await asked(spine, 'user:ann');
    const token = await tokenOf('ann', true);
    await expect(page.approval({ approval: other.id, token }).approve()).rejects.toMatchObject({
      code: 'OUT_OF_SCOPE',
    });
    const ann = page.approval({ approval: id, token });
    expect(await until(ann, ({ phase }) => phase === 'open')).toMatchObject({ approval: { show: { draft: 'helo' } } });
    await ann.approve({ form: { text: 'hello' } });
    expect(await spine.run<'publish'>(run).result()).toEqual({ by: 'user:ann', text: 'hello' });
  });
});
