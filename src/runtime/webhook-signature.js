/**
 * Signatures of requests after the Standard Webhooks specification 1.0: HMAC-SHA256 over `id.timestamp.body`, base64, with a
 * version before it. Only what every runtime has (Web Crypto), since endpoints run anywhere.
 *
 * Invariant: signatures are compared in constant time (`subtle.verify`), and a request is believed for as long as the
 * window says, not longer.
 */
import { limits } from '../core/limits.js';
export const signatureHeaders = {
    id: 'webhook-id',
    timestamp: 'webhook-timestamp',
    signature: 'webhook-signature',
};
/**
 * Headers that sign `body`, with each of the secrets: while one is being replaced, the receiver may know either.
 *
 * @param atMs Now, epoch ms.
 */
export async function signRequest(secrets, id, atMs, body) {
    const timestamp = String(Math.floor(atMs / 1000));
    const content = contentOf(id, timestamp, body);
    const signatures = await Promise.all(secrets.map(async (secret) => {
        const bytes = await crypto.subtle.sign('HMAC', await keyOf(secret), content);
        return `v1,${base64Of(new Uint8Array(bytes))}`;
    }));
    return {
        [signatureHeaders.id]: id,
        [signatureHeaders.timestamp]: timestamp,
        [signatureHeaders.signature]: signatures.join(' '),
    };
}
/** Null where one of the signatures was made with one of the secrets, within the window; else what is wrong. */
export async function signatureFault(secrets, request, nowMs) {
    const id = request.header(signatureHeaders.id);
    const timestamp = request.header(signatureHeaders.timestamp);
    const given = request.header(signatureHeaders.signature);
    if (id === null || timestamp === null || given === null || id === '')
        return 'missing';
    if (!/^\d{1,12}$/.test(timestamp))
        return 'malformed';
    const ageMs = nowMs - Number(timestamp) * 1000;
    if (ageMs > limits.signatureWindowMs)
        return 'too old';
    if (ageMs < -limits.signatureWindowMs)
        return 'too new';
    const content = contentOf(id, timestamp, request.body);
    const signatures = given.split(' ').slice(0, signaturesMax).flatMap(bytesOfSignature);
    if (signatures.length === 0)
        return 'malformed';
    for (const secret of secrets) {
        const key = await keyOf(secret);
        for (const signature of signatures)
            if (await crypto.subtle.verify('HMAC', key, signature, content))
                return null;
    }
    return 'wrong';
}
/**
 * The secret of one endpoint, made of that of the installation: whoever knows the one cannot tell the others, and nothing
 * has to be kept.
 */
export async function endpointSecret(installation, endpoint) {
    const name = new TextEncoder().encode(`eventspine:endpoint:${endpoint}`);
    const bytes = await crypto.subtle.sign('HMAC', await keyOf(installation), name);
    return secretPrefix + base64Of(new Uint8Array(bytes));
}
/** Whether a text can be a secret: `whsec_` and 24 bytes or more as base64; the prefix may be left out. */
export function isSecret(secret) {
    const bytes = bytesOfBase64(bare(secret));
    return bytes !== null && bytes.byteLength >= secretBytesMin;
}
const secretPrefix = 'whsec_';
const secretBytesMin = 24;
/** Signatures that are looked at in one header. */
const signaturesMax = 10;
function bare(secret) {
    return secret.startsWith(secretPrefix) ? secret.slice(secretPrefix.length) : secret;
}
async function keyOf(secret) {
    const bytes = bytesOfBase64(bare(secret));
    if (bytes === null)
        throw new Error('A signing secret is not base64.');
    return crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
}
function contentOf(id, timestamp, body) {
    const head = new TextEncoder().encode(`${id}.${timestamp}.`);
    const content = new Uint8Array(head.byteLength + body.byteLength);
    content.set(head);
    content.set(body, head.byteLength);
    return content;
}
function bytesOfSignature(signature) {
    // Other versions may stand beside ours.
    const bytes = signature.startsWith('v1,') ? bytesOfBase64(signature.slice(3)) : null;
    return bytes === null ? [] : [bytes];
}
function bytesOfBase64(text) {
    if (text === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(text))
        return null;
    try {
        return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    }
    catch {
        return null;
    }
}
function base64Of(bytes) {
    return btoa(String.fromCharCode(...bytes));
}
//# sourceMappingURL=webhook-signature.js.map