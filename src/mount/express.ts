/** Middleware of Express, and of plain `node:http`. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { PagesOptions } from '../spine/index.js';
import type { PageHost } from './page-host.js';

/**
 * `app.use('/spine', expressHandler(spine, { basePath: '/spine', authorize, start: ['brief'] }))`. Answers everything below its path.
 * Bodies may have been parsed before it. Opens nothing before the first request.
 */
export function expressHandler(
  spine: PageHost,
  options: PagesOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const { handle } = spine.pages(options);
  return (request, response) => handle(request, response);
}
