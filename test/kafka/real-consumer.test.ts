import { exerciseRealBroker } from './real-broker.js';

exerciseRealBroker('consumer');
