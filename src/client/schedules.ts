/** The client's surface for schedules. */
import type { ScheduleOptions } from '../core/schedule/spec.js';
import type { CommandAnswer, PageView, ScheduleView, StartAnswer } from '../protocol/http.js';
import { headerNames, pathOf } from '../protocol/route-paths.js';
import type { InputFor, ResultFor, WorkflowFor } from './app-types.js';
import { quotedKey } from './http-gateway.js';
import { pageList, type PageList } from './pages.js';
import { randomId } from './random-id.js';
import { type CallOptions, command, get, runHandle, type RunHandle } from './run-handle.js';
import type { StreamSettings } from './run-stream.js';
import type { ApiRequest, Transport } from './transport.js';

/** A schedule as it is asked for: what it starts, when, and with which input. */
export interface ScheduleRequest<App, Name extends WorkflowFor<App>> extends ScheduleOptions<InputFor<App, Name>> {
  /** Name of the workflow. */
  readonly start: Name;
}

/** Options of `schedules.list`. */
export interface ScheduleListQuery extends CallOptions {
  /** Items of a page: 1 to 500, default 50. */
  readonly limit?: number;
}

/** Options of `schedules.pause`. */
export interface PauseOptions extends CallOptions {
  /** For the record. */
  readonly reason?: string;
}

/** Options of `schedules.trigger`. */
export interface TriggerOptions extends CallOptions {
  /** As of `start`. Default: a random key, which covers the client's own retries and nothing else. */
  readonly idempotencyKey?: string;
}

/** What starts runs again and again. */
export interface SchedulesApi<App> {
  /**
   * Adds a schedule or replaces its definition; the same again changes nothing. SCHEDULE_INVALID, WORKFLOW_UNKNOWN,
   * INPUT_INVALID, SCHEDULE_OWNED where an app defines it.
   */
  put<Name extends WorkflowFor<App>>(
    name: string,
    schedule: ScheduleRequest<App, Name>,
    options?: CallOptions,
  ): Promise<ScheduleView>;
  /** SCHEDULE_NOT_FOUND, as of all that follow. */
  get(name: string, options?: CallOptions): Promise<ScheduleView>;
  /** In the order of their names. */
  list(query?: ScheduleListQuery): PageList<ScheduleView>;
  /** Ticks do nothing until it is resumed, and those of that time are not made up for. */
  pause(name: string, options?: PauseOptions): Promise<CommandAnswer>;
  resume(name: string, options?: CallOptions): Promise<CommandAnswer>;
  /** Starts a run of it now, whatever its ticks do. */
  trigger<Name extends WorkflowFor<App>>(
    name: string,
    options?: TriggerOptions,
  ): Promise<RunHandle<ResultFor<App, Name>>>;
  /** Removes it; runs that it has started go on. SCHEDULE_OWNED where an app defines it. */
  delete(name: string, options?: CallOptions): Promise<void>;
}

/** Schedules over a transport. */
export function schedulesOver<App>(transport: Transport, settings: StreamSettings): SchedulesApi<App> {
  return {
    put: (name, schedule, options) =>
      transport.json(
        // What lies in the code of a caller may have more names than the types allow: the server says so.
        request('PUT', pathOf('putSchedule', { name }), options, schedule),
      ),
    get: (name, options) => transport.json(get(pathOf('readSchedule', { name }), options)),
    list: ({ signal, ...query } = {}) =>
      pageList((cursor) =>
        transport.json<PageView<ScheduleView>>(
          get(pathOf('listSchedules'), signal === undefined ? {} : { signal }, { ...query, cursor }),
        ),
      ),
    pause: (name, options) => {
      const body = options?.reason === undefined ? {} : { reason: options.reason };
      return transport.json(command(pathOf('pauseSchedule', { name }), body, true, options));
    },
    resume: (name, options) => transport.json(command(pathOf('resumeSchedule', { name }), undefined, true, options)),
    trigger: async (name, options) => {
      const started = await transport.json<StartAnswer>({
        ...command(pathOf('triggerSchedule', { name }), undefined, true, options),
        headers: { [headerNames.idempotencyKey]: quotedKey(options?.idempotencyKey ?? randomId()) },
      });
      return runHandle(transport, started.id, settings, { repeated: started.repeated });
    },
    delete: (name, options) =>
      transport.exchange(
        // Gone after a lost answer is gone as well, but cannot be told from never having been there.
        { ...request('DELETE', pathOf('deleteSchedule', { name }), options), repeatable: false },
        () => undefined,
      ),
  };
}

function request(method: 'PUT' | 'DELETE', path: string, options: CallOptions | undefined, body?: unknown): ApiRequest {
  return { ...command(path, body, true, options), method };
}
