/**
 * `eventspine/auth`: who asks, for servers that others reach: tokens of OpenID Connect providers, and API keys.
 */
export { apiKeysOnly } from './keys-only.js';
export type { ClaimName, ClaimOptions, MappedClaim, TokenClaims } from './claims.js';
export { jwt, type JwtAlgorithm, type JwtOptions, type JwtPorts } from './jwt.js';
