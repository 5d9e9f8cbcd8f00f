export { createServer, type ServerAddress, type SpineServer } from './server.js';
export type {
  Authorize,
  AuthorizeRequest,
  CorsOptions,
  Principal,
  ServerLimits,
  ServerLogEntry,
  ServerOptions,
} from './options.js';
export { publishedAnswer, publishRequestOf } from './handlers/events.js';
