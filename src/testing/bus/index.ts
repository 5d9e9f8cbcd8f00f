/** The contract suite of buses, and a bus in memory that passes it. */
export { busTopics, type BusCase, type BusFaults, type BusPlace, type BusWorld } from './bus-case.js';
export { MemoryBroker, memoryBusCaps, type MemoryBus, type MemoryBrokerOptions } from './memory-bus.js';
export { busCases, exerciseBus, type BusSuiteOptions } from './suite.js';
