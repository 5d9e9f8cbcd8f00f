import { createLive } from 'eventspine/client';
import { createHooks } from 'eventspine/react';
import type { App } from './spine.js';

/** One WebSocket for all streams of the page, where its address asks for that. */
const live = createLive({ url: '/spine' });

/** Pages in the background let go after a second, so that the test need not wait for a minute. */
export const { useStart, useRun, useProgress, useEvents, useStream, useApprovals, useApproval, page } =
  createHooks<App>({
    url: '/spine',
    hidden: '1s',
    refresh: '500ms',
    ...(globalThis.location?.search === '?live' ? { fetch: live.fetch } : {}),
  });
