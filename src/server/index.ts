export { createServer, type ServerAddress, type SpineServer } from './server.js';
export type {
  Authorize,
  AuthorizeRequest,
  CorsOptions,
  PageOptions,
  Principal,
  ReadTokenOptions,
  ServerLimits,
  ServerLogEntry,
  ServerOptions,
} from './options.js';
export { publishedAnswer, publishRequestOf } from './handlers/events.js';
