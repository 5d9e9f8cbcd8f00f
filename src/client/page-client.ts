/**
 * The part of the client that users' pages need: starts, runs by their ids, and approvals. Apart from the whole, so that
 * nothing else of it is loaded into browsers; `eventspine/page` stands on this.
 */
import { type ApprovalsApi, approvalsApi } from './approvals.js';
import { type ClientOptions, streamSettings, transportOf } from './client-options.js';
import type { StartItem } from './gateway.js';
import { httpGateway, startedOf } from './http-gateway.js';
import type { CallOptions } from './run-handle.js';
import { runHandle, type RunHandle } from './run-handle.js';

/** What a page does over HTTP. */
export interface PageClient {
  /** Starts a run; its handle holds the read token that was asked for. As `Client.start`. */
  start(workflow: string, item: StartItem, options: CallOptions): Promise<RunHandle>;
  /** A handle of a run that is known by its id. Asks nothing. */
  run(id: string): RunHandle;
  readonly approvals: ApprovalsApi;
}

/** Makes it. Opens nothing. Fails with OPTIONS_INVALID. */
export function createPageClient(options: ClientOptions): PageClient {
  const transport = transportOf(options);
  const settings = streamSettings(options);
  return {
    async start(workflow, item, { signal }) {
      const [answer] = await httpGateway(transport).startRuns(workflow, [item], signal);
      const { id, repeated, readToken } = startedOf(answer);
      return runHandle(transport, id, settings, { repeated, ...(readToken === undefined ? {} : { readToken }) });
    },
    run: (id) => runHandle(transport, id, settings),
    approvals: approvalsApi(transport),
  };
}
