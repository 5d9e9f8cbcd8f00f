/** Blobs: large values, stored and read under the hash of their bytes, beside the channel of the workers. */
import { createHash } from 'node:crypto';
import { SpineError } from '../../core/errors.js';
import { empty, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import type { HandlerContext, Handlers } from './context.js';

const hashPattern = /^[0-9a-f]{64}$/;

export function blobHandlers(context: HandlerContext): Handlers<'putBlob' | 'readBlob'> {
  return {
    putBlob: (request) => putBlob(context, request),
    readBlob: (request) => readBlob(context, request),
  };
}

async function putBlob(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const { tenant, hash } = addressOf(request);
  request.requireType('application/octet-stream');
  const found = createHash('sha256').update(request.body).digest('hex');
  if (found !== hash) throw new SpineError('BLOB_MISMATCH', { blob: hash });
  await context.engine.putBlob(tenant, hash, request.body);
  return empty(204);
}

async function readBlob(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const { tenant, hash } = addressOf(request);
  const bytes = await context.engine.readBlob(tenant, hash);
  if (bytes === null) throw new SpineError('BLOB_NOT_FOUND', { blob: hash });
  const headers = {
    'content-type': 'application/octet-stream',
    // What lies under a hash never changes.
    'cache-control': 'private, max-age=31536000, immutable',
    etag: `"${hash}"`,
  };
  return { kind: 'whole', status: 200, headers, body: bytes };
}

/** Another tenant's blob answers as one that does not exist. Workers serve all tenants. */
function addressOf(request: ApiRequest): { readonly tenant: string; readonly hash: string } {
  const tenant = request.segment('tenant');
  const hash = request.segment('hash');
  if (!hashPattern.test(hash)) throw invalid('the hash is not a sha-256 in lower-case hex');
  if (tenant !== request.tenant && !request.principal.roles.includes('worker')) {
    throw new SpineError('BLOB_NOT_FOUND', { blob: hash });
  }
  return { tenant, hash };
}
