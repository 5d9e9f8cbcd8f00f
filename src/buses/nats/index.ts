/** NATS JetStream as a message bus outside: `nats({ servers })` gives the port of `bus` over it. */
export { nats } from './nats-bus.js';
export type { NatsOptions } from './options.js';
