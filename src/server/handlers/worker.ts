/** Work over plain requests: claim, extend, complete, end; and the schemas of the worker protocol. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { SpineError } from '../../core/errors.js';
import type { ClaimRequest, CompleteRequest, EndRequest, ExtendRequest } from '../../protocol/plain-worker.js';
import { plainSchemas, workerProtocolSchema } from '../../protocol/worker-schemas.js';
import { empty, json } from '../answer.js';
import type { ApiRequest } from '../api-request.js';
import type { PlainWorkers } from '../plain-workers.js';
import type { Handlers } from './context.js';

export function workerHandlers(
  workers: PlainWorkers,
): Handlers<'workerSchema' | 'claimTasks' | 'extendTasks' | 'completeTasks' | 'endWorker'> {
  const { claim, extend, complete, end } = readers();
  return {
    workerSchema: () => json(200, workerProtocolSchema),
    claimTasks: (request) => workers.claim(claim(request)),
    extendTasks: async (request) => json(200, await workers.extend(extend(request))),
    completeTasks: async (request) => json(200, await workers.complete(complete(request))),
    endWorker: async (request) => {
      await workers.end(end(request));
      return empty(204);
    },
  };
}

/** What the schemas say of a body is what is checked of it. */
function readers() {
  const ajv = new Ajv2020({ allErrors: true });
  const reader = <T>(name: keyof typeof plainSchemas): ((request: ApiRequest) => T) => {
    let validate: ValidateFunction<T> | null = null;
    return (request) => {
      const body = request.json();
      validate ??= ajv.compile<T>(plainSchemas[name]);
      if (validate(body)) return body;
      const faults = (validate.errors ?? [])
        .slice(0, faultsMax)
        .map(({ instancePath, message }) => `${instancePath === '' ? 'the body' : instancePath} ${message ?? ''}`);
      throw new SpineError('REQUEST_INVALID', { faults });
    };
  };
  return {
    claim: reader<ClaimRequest>('ClaimRequest'),
    extend: reader<ExtendRequest>('ExtendRequest'),
    complete: reader<CompleteRequest>('CompleteRequest'),
    end: reader<EndRequest>('EndRequest'),
  };
}

const faultsMax = 20;
