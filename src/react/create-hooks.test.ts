/** Hooks where there is no browser: what a server renders, and what it must not do. A browser is in test/process/page. */
import * as React from 'react';
import { createElement as h, type ReactElement } from 'react';
import { renderToString } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { createPage } from '../page/index.js';
import { createHooks } from './create-hooks.js';

const asked: unknown[] = [];
const touched: string[] = [];
const page = createPage({
  fetch: (input) => {
    asked.push(input);
    return Promise.reject(new Error('a server that renders asks nothing'));
  },
  storage: {
    getItem: (name) => {
      touched.push(name);
      return null;
    },
    setItem: () => undefined,
    removeItem: () => undefined,
  },
});
const hooks = createHooks(page);

function View({ run }: { readonly run: string | null }): ReactElement {
  const starting = hooks.useStart('letter', { remember: 'letter' });
  const snapshot = hooks.useRun('letter', run);
  const progress = hooks.useProgress('letter', run, (value) => value as number);
  const { events, dropped } = hooks.useEvents('letter', run);
  const { chunks } = hooks.useStream('letter', run, 'draft');
  const inbox = hooks.useApprovals();
  const { phase, deciding } = hooks.useApproval(run === null ? null : `${run}.2`);
  const approvals = { inbox: inbox.phase, phase, deciding };
  const shown = {
    starting: starting.starting,
    own: starting.run,
    snapshot,
    progress,
    events,
    dropped,
    chunks,
    approvals,
  };
  return h('pre', { dangerouslySetInnerHTML: { __html: JSON.stringify(shown) } });
}

function rendered(run: string | null): unknown {
  return JSON.parse(renderToString(h(View, { run })).replace(/<\/?pre>/g, ''));
}

describe('hooks on a server', () => {
  it('show a run that is not heard of yet, and ask nothing', () => {
    expect(rendered('run_1')).toEqual({
      starting: false,
      own: null,
      snapshot: { link: 'off', state: null, steps: [], phase: 'pending', run: 'run_1' },
      events: [],
      dropped: 0,
      chunks: [],
      approvals: { inbox: 'loading', phase: 'loading', deciding: false },
    });
    expect([asked, touched]).toEqual([[], []]);
  });

  it('show that there is no run', () => {
    expect(rendered(null)).toMatchObject({ snapshot: { phase: 'none', run: null }, approvals: { phase: 'none' } });
  });

  it('use the React that they are given', () => {
    const used: string[] = [];
    const react = {
      ...React,
      useMemo: <T>(make: () => T, dependencies: React.DependencyList): T => {
        used.push('useMemo');
        return React.useMemo(make, dependencies);
      },
    };
    const own = createHooks(page, react);
    renderToString(h(() => h('pre', null, own.useRun('letter', 'run_1').phase)));
    expect(used).toContain('useMemo');
  });

  it('are made without a browser, and of options too', () => {
    expect(createHooks({ url: '/elsewhere' }).page).toBeDefined();
    expect(() => createHooks({ uri: '/x' } as never)).toThrow('uri is not an option');
    expect(createHooks(page).page).toBe(page);
  });
});
