export { nodeClock, nodeHash, nodePorts, nodeRandom, nodeTimers } from './node-ports.js';
export { endpointSecret, isSecret, signatureFault, signatureHeaders, signRequest, } from './webhook-signature.js';
//# sourceMappingURL=index.js.map