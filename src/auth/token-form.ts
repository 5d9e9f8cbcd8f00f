/**
 * What a text must be before anybody verifies it: a signed token of three parts whose header asks for nothing that we do not
 * do. Headers are what attacks on tokens are made of; so what is not needed is refused instead of passed over.
 *
 * Invariant: nothing here trusts the token; it can only refuse it.
 */
import { limits } from '../core/limits.js';
import { duplicateMember } from './duplicate-member.js';

/** The parts of a token that can be read without a key. */
export interface TokenForm {
  readonly algorithm: string;
  readonly issuer: string;
}

/** Why a token is refused, in words for whoever sent it. */
export interface FormFault extends TokenForm {
  readonly fault: string;
}

const form = /^([\w-]+)\.([\w-]+)\.[\w-]+$/;
const keyIdLengthMax = 256;
/** Headers that bring a key along, say where one is, change what is signed, or make a token of a token. */
const refusedHeaders = ['jwk', 'jku', 'x5u', 'x5c', 'crit', 'b64', 'zip', 'enc', 'cty'];
const usualTypes = ['jwt', 'at+jwt', 'application/at+jwt', 'application/jwt'];

/** The header and issuer of a text; null where it is no signed token at all and may be something else. */
export function formOf(text: string, type: string | null): TokenForm | FormFault | null {
  const match = text.length <= limits.jwtLengthMax ? form.exec(text) : null;
  if (match === null) return null;
  const [header, claims] = [objectOf(match[1] ?? ''), objectOf(match[2] ?? '')];
  if (header === null || claims === null) return null;
  const { alg, kid, typ } = header.value;
  const { iss } = claims.value;
  if (typeof iss !== 'string' || typeof alg !== 'string') return null;
  const found = { algorithm: alg, issuer: iss };
  const twice = duplicateMember(header.text) ?? duplicateMember(claims.text);
  if (twice !== null) return { ...found, fault: 'a member of it is there twice' };
  const refused = refusedHeaders.find((name) => Object.hasOwn(header.value, name));
  if (refused !== undefined) return { ...found, fault: `its header has "${refused}"` };
  if (kid !== undefined && !(typeof kid === 'string' && kid.length <= keyIdLengthMax))
    return { ...found, fault: 'the id of its key is no text, or too long' };
  const allowed = type === null ? usualTypes : [type.toLowerCase()];
  const isTyped = typeof typ === 'string' && allowed.includes(typ.toLowerCase());
  if (!isTyped && !(typ === undefined && type === null)) return { ...found, fault: 'it is of another type' };
  return found;
}

function objectOf(part: string): { readonly text: string; readonly value: Readonly<Record<string, unknown>> } | null {
  try {
    const text = decoder.decode(Buffer.from(part, 'base64url'));
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? { text, value: value as Record<string, unknown> } : null;
  } catch {
    return null;
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
