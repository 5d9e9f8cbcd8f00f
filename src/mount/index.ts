/**
 * `eventspine/mount`: the part of the API that users' pages may have, in the form that each web framework wants.
 */
export type { Authorize, AuthorizeRequest, Principal } from '../server/index.js';
export { expressHandler } from './express.js';
export { fastifyPlugin, type FastifyScope } from './fastify.js';
export { honoHandler } from './hono.js';
export { nextHandler } from './next.js';
export type { PageHost } from './page-host.js';
