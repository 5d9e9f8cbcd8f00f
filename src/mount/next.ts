/** Route handlers of the app router of Next.js. */
import type { PagesOptions } from '../spine/index.js';
import type { PageHost } from './page-host.js';

/** A handler of one method. */
type RouteHandler = (request: Request) => Promise<Response>;

/**
 * For `app/spine/[...path]/route.ts`: `export const { GET, POST, OPTIONS } = nextHandler(spine, { authorize, start: ['brief'] })`.
 * `basePath` is the folder of the route, `/spine`, unless the spine has it among its options. Opens nothing before the first
 * request. Works in the Node runtime of Next.
 */
export function nextHandler(
  spine: PageHost,
  options: PagesOptions,
): { readonly GET: RouteHandler; readonly POST: RouteHandler; readonly OPTIONS: RouteHandler } {
  const { fetch } = spine.pages(options);
  const handler: RouteHandler = (request) => fetch(request);
  return { GET: handler, POST: handler, OPTIONS: handler };
}
