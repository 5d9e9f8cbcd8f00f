export { nodeClock, nodeHash, nodePorts, nodeRandom, nodeTimers } from './node-ports.js';
