/** The port that every message bus outside is behind. */
export type {
  Bus,
  BusCaps,
  BusDelivery,
  BusHandler,
  BusLag,
  BusMessage,
  BusPartition,
  BusPosition,
  BusPublished,
  BusSubscribeOptions,
  BusSubscription,
  BusTopic,
  Settlement,
} from './port.js';
