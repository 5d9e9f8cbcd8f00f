export declare const signatureHeaders: {
  readonly id: 'webhook-id';
  readonly timestamp: 'webhook-timestamp';
  readonly signature: 'webhook-signature';
};
/** Why a request is not believed. */
export type SignatureFault = 'missing' | 'malformed' | 'too old' | 'too new' | 'wrong';
export interface SignedRequest {
  /** A header by its lower-case name; null = it is not there. */
  header(name: string): string | null;
  /** As it was received. */
  readonly body: Uint8Array;
}
/**
 * Headers that sign `body`, with each of the secrets: while one is being replaced, the receiver may know either.
 *
 * @param atMs Now, epoch ms.
 */
export declare function signRequest(
  secrets: readonly string[],
  id: string,
  atMs: number,
  body: Uint8Array,
): Promise<Record<string, string>>;
/** Null where one of the signatures was made with one of the secrets, within the window; else what is wrong. */
export declare function signatureFault(
  secrets: readonly string[],
  request: SignedRequest,
  nowMs: number,
): Promise<SignatureFault | null>;
/**
 * The secret of one endpoint, made of that of the installation: whoever knows the one cannot tell the others, and nothing
 * has to be kept.
 */
export declare function endpointSecret(installation: string, endpoint: string): Promise<string>;
/** Whether a text can be a secret: `whsec_` and 24 bytes or more as base64; the prefix may be left out. */
export declare function isSecret(secret: string): boolean;
//# sourceMappingURL=webhook-signature.d.ts.map
