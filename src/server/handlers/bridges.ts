/** Bridges to buses outside: how they stand, and where they go on. */
import type { BridgeView, PageView } from '../../protocol/http.js';
import { json } from '../answer.js';
import { invalid } from '../api-request.js';
import { membersOf, type HandlerContext, type Handlers } from './context.js';

export function bridgeHandlers({ engine }: HandlerContext): Handlers<'listBridges' | 'seekBridge'> {
  return {
    listBridges: () => {
      const page: PageView<BridgeView> = { items: engine.listBridges(), next: null };
      return json(200, page);
    },
    seekBridge: async (request) => {
      const { partition, offset } = membersOf(request.json(), 'the body', ['partition', 'offset']);
      const name = request.segment('name');
      if (typeof partition !== 'number' || !Number.isSafeInteger(partition) || partition < 0)
        throw invalid('partition is not a whole number from 0');
      return json(200, await engine.seekBridge(request.origin(), name, partition, offsetOf(offset)));
    },
  };
}

/** @throws REQUEST_INVALID */
function offsetOf(value: unknown): bigint {
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof text !== 'string' || !/^\d{1,19}$/.test(text)) throw invalid('offset is not a whole number from 0');
  return BigInt(text);
}
