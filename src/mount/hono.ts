/** A handler of Hono, and of whatever hands on a `Request` in the same way. */
import type { PagesOptions } from '../spine/index.js';
import type { PageHost } from './page-host.js';

/** `web.all('/spine/*', honoHandler(spine, { basePath: '/spine', authorize, start: ['brief'] }))`. Opens nothing before the first request. */
export function honoHandler(
  spine: PageHost,
  options: PagesOptions,
): (context: { readonly req: { readonly raw: Request } }) => Promise<Response> {
  const { fetch } = spine.pages(options);
  return (context) => fetch(context.req.raw);
}
