/** Endpoints: an app whose tasks come by HTTPS, where there is no process that could keep a connection. */
export { createHandler, type EndpointHandler, type HandlerOptions } from './handler.js';
