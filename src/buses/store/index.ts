/** The port of message buses over the topics of an engine: what Kafka and NATS are, a store is as well. */
export { storeBus, storeBusCaps, type StoreBusEngine, type StoreBusOptions } from './store-bus.js';
