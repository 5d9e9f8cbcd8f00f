export { createServer, type ServerAddress, type SpineServer } from './server.js';
export { isLoopback } from './options.js';
export type {
  Authorize,
  AuthorizeRequest,
  CorsOptions,
  PageOptions,
  Principal,
  ReadTokenOptions,
  RedactOptions,
  ServerLimits,
  ServerLogEntry,
  ServerOptions,
  WebhooksOptions,
} from './options.js';
export { publishRequestOf } from '../engine/intake/event-request.js';
export { publishedAnswer } from './handlers/events.js';
