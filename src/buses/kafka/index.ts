/** Apache Kafka as a message bus outside: `kafka({ brokers })` gives the port of `bus` over it. */
export { kafka } from './kafka-bus.js';
export type { KafkaOptions, KafkaSasl, KafkaTls } from './options.js';
