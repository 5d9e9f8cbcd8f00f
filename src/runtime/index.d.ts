export { nodeClock, nodeHash, nodePorts, nodeRandom, nodeTimers } from './node-ports.js';
export {
  endpointSecret,
  isSecret,
  signatureFault,
  signatureHeaders,
  signRequest,
  type SignatureFault,
  type SignedRequest,
} from './webhook-signature.js';
//# sourceMappingURL=index.d.ts.map
