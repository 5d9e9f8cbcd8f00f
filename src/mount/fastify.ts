/** A plug-in of Fastify. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SpineError } from '../core/errors.js';
import type { PagesOptions } from '../spine/index.js';
import type { PageHost } from './page-host.js';

/** Of a Fastify instance, what the plug-in uses. */
export interface FastifyScope {
  removeAllContentTypeParsers(): void;
  addContentTypeParser(
    contentType: string,
    parser: (request: unknown, payload: unknown, done: (error: Error | null) => void) => void,
  ): unknown;
  all(
    path: string,
    handler: (
      request: { readonly raw: IncomingMessage },
      reply: { readonly raw: ServerResponse; hijack(): unknown },
    ) => void,
  ): unknown;
}

/**
 * `await web.register(fastifyPlugin(spine, { basePath: '/spine', authorize, start: ['brief'] }))`, without a `prefix`: the base path
 * says where it is. Its parsers of bodies hold within the plug-in only. Opens nothing before the first request. Fails with
 * OPTIONS_INVALID without a base path.
 */
export function fastifyPlugin(
  spine: PageHost,
  options: PagesOptions & { readonly basePath: string },
): (scope: FastifyScope) => Promise<void> {
  const { basePath } = options;
  if (!/^\/./.test(basePath)) {
    throw new SpineError('OPTIONS_INVALID', {
      what: 'fastifyPlugin',
      faults: ['basePath is not a path like "/spine"'],
    });
  }
  const { handle } = spine.pages(options);
  return (scope) => {
    scope.removeAllContentTypeParsers();
    // The body stays in the socket, where the handler reads it within its own bounds.
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
    scope.all(`${basePath}/*`, (request, reply) => {
      reply.hijack();
      handle(request.raw, reply.raw);
    });
    return Promise.resolve();
  };
}
