/** Endpoints that tasks are sent to: list, add, remove, and the secret of each. */
import { limits } from '../../core/limits.js';
import type { EndpointView, PageView } from '../../protocol/http.js';
import { empty, json } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import type { EndpointAddress, PushHost } from '../push/push-host.js';
import { membersOf, type Handlers } from './context.js';

export function endpointHandlers(
  push: PushHost,
): Handlers<'listEndpoints' | 'putEndpoint' | 'deleteEndpoint' | 'readEndpointSecret'> {
  return {
    listEndpoints: async () => {
      const page: PageView<EndpointView> = { items: await push.list(), next: null };
      return json(200, page);
    },
    putEndpoint: async (request) => json(200, await push.add(request.segment('app'), endpointOf(request))),
    deleteEndpoint: async (request) => {
      await push.remove(request.segment('app'));
      return empty(204);
    },
    readEndpointSecret: async (request) => json(200, { secret: await push.secretOf(request.segment('app')) }),
  };
}

/** @throws REQUEST_INVALID */
function endpointOf(request: ApiRequest): EndpointAddress {
  const body = membersOf(request.json(), 'the body', ['url', 'concurrency', 'timeoutMs']);
  const { url, concurrency = limits.pushConcurrencyDefault, timeoutMs = limits.pushTimeoutMsDefault } = body;
  if (typeof url !== 'string' || url.length > urlLengthMax)
    throw invalid(`url is not a text of at most ${urlLengthMax} characters`);
  if (!isWhole(concurrency, limits.workerSlotsMax))
    throw invalid(`concurrency is not a whole number from 1 to ${limits.workerSlotsMax}`);
  if (!isWhole(timeoutMs, limits.pushTimeoutMsMax))
    throw invalid(`timeoutMs is not a whole number from 1 to ${limits.pushTimeoutMsMax}`);
  return { url, concurrency, timeoutMs };
}

const urlLengthMax = 2_000;

function isWhole(value: unknown, max: number): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= max;
}
