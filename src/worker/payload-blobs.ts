/**
 * Payloads that are too large for a message: uploaded beside the line before they are submitted, downloaded when
 * somebody needs the value. A blob is named by the hash of its bytes, so repeating a transfer is always safe.
 *
 * Invariant: what `load` returns has the hash that the payload names.
 */
import { SpineError } from '../core/errors.js';
import { failureOf } from '../core/failure-of.js';
import { limits } from '../core/limits.js';
import type { BlobPayload, InlinePayload, Payload } from '../core/payload.js';
import type { Ports } from '../core/ports.js';
import { exceedsUtf8 } from '../core/utf8.js';
import type { WorkerTransport } from './transport.js';

/** Tries of one transfer; together they outlast a restart of the server. */
const tries = 6;
const pauseMsMin = 200;

export interface PayloadBlobsOptions {
  readonly transport: Pick<WorkerTransport, 'putBlob' | 'getBlob'>;
  readonly ports: Ports;
  /** Path of the blobs as the current session has it. */
  readonly path: () => string;
}

/** The blobs of one worker. Rejections are those of the transport, after the tries are used up. */
export class PayloadBlobs {
  readonly #options: PayloadBlobsOptions;
  /** Bytes on their way now; those that wait for them to arrive, in order. */
  #moving = 0;
  readonly #waiting: { readonly bytes: number; readonly go: () => void }[] = [];

  constructor(options: PayloadBlobsOptions) {
    this.#options = options;
  }

  /** The payload as it may be submitted: itself, or a reference to a blob that now exists. */
  async fit(tenant: string, payload: InlinePayload): Promise<Payload> {
    return exceedsUtf8(payload.text, limits.inlinePayloadBytesMax) ? this.store(tenant, payload) : payload;
  }

  /** Turns a payload into a blob, whatever its size. */
  async store(tenant: string, payload: InlinePayload): Promise<BlobPayload> {
    const { ports, transport, path } = this.#options;
    const { codec, text } = payload;
    // At least so many; the bytes themselves are made when their turn has come.
    return this.#inTurn(text.length, async () => {
      const bytes = new TextEncoder().encode(text);
      const hash = ports.hash.sha256(bytes);
      await this.#try(() => transport.putBlob({ blobs: path(), tenant, hash }, bytes));
      return { codec, blob: hash, size: bytes.byteLength };
    });
  }

  /** Fetches the text of a blob. Fails with BLOB_NOT_FOUND, or BLOB_MISMATCH where the bytes are not the right ones. */
  async load(tenant: string, payload: BlobPayload): Promise<InlinePayload> {
    const { ports, transport, path } = this.#options;
    const hash = payload.blob;
    return this.#inTurn(payload.size, async () => {
      const bytes = await this.#try(() => transport.getBlob({ blobs: path(), tenant, hash }));
      if (ports.hash.sha256(bytes) !== hash) throw new SpineError('BLOB_MISMATCH', { blob: hash });
      return { codec: payload.codec, text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) };
    });
  }

  /** Waits until there is room for the bytes: a hundred slots that all return much must not be in memory twice at one time. */
  async #inTurn<T>(bytes: number, transfer: () => Promise<T>): Promise<T> {
    if (this.#waiting.length > 0 || (this.#moving > 0 && this.#moving + bytes > limits.transferBytesMax))
      await new Promise<void>((go) => this.#waiting.push({ bytes, go }));
    else this.#moving += bytes;
    try {
      return await transfer();
    } finally {
      this.#moving -= bytes;
      this.#next();
    }
  }

  #next(): void {
    for (;;) {
      const [first] = this.#waiting;
      if (first === undefined || (this.#moving > 0 && this.#moving + first.bytes > limits.transferBytesMax)) return;
      this.#waiting.shift();
      this.#moving += first.bytes;
      first.go();
    }
  }

  async #try<T>(transfer: () => Promise<T>): Promise<T> {
    const { timers, random } = this.#options.ports;
    for (let attempt = 1; ; attempt++) {
      try {
        return await transfer();
      } catch (error) {
        if (attempt === tries || !failureOf(error).retryable) throw error;
        const ceilingMs = pauseMsMin * 2 ** attempt;
        await new Promise<void>((resolve) => timers.after(random.next() * ceilingMs, resolve));
      }
    }
  }
}
