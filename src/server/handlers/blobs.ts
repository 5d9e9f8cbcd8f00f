/** Blobs: large values, stored and read under the hash of their bytes, beside the channel of the workers. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { SpineError } from '../../core/errors.js';
import { empty, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { heldBlob, type HandlerContext, type Handlers } from './context.js';

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
  const found = await digestOf(request.body);
  if (found !== hash) throw new SpineError('BLOB_MISMATCH', { blob: hash });
  await context.engine.putBlob(tenant, hash, request.body);
  return empty(204);
}

/** Bytes that are hashed before others have their turn. */
const hashedAtOnce = 4 * 1024 * 1024;

async function digestOf(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  for (let from = 0; from < bytes.byteLength; from += hashedAtOnce) {
    if (from > 0) await setImmediate();
    hash.update(bytes.subarray(from, from + hashedAtOnce));
  }
  return hash.digest('hex');
}

async function readBlob(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const { tenant, hash } = addressOf(request);
  const { bytes, onSent } = await heldBlob(context, tenant, hash);
  const headers = {
    'content-type': 'application/octet-stream',
    // What lies under a hash never changes.
    'cache-control': 'private, max-age=31536000, immutable',
    etag: `"${hash}"`,
  };
  return { kind: 'whole', status: 200, headers, body: bytes, onSent };
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
