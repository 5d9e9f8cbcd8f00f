/**
 * Which addresses a server may be sent to by a URL that somebody gave it. What a name stands for is looked at each time
 * a connection is made, and the connection goes to the very address that was looked at, so a name cannot be bent afterwards.
 *
 * Invariant: no connection to an address of this machine, of a private network or of the services beside it, in whatever
 * way it is written, unless the operator allows loopback.
 */
import { lookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { SpineError } from '../../core/errors.js';

export interface AddressRules {
  /** Whether endpoints on this machine, also by plain http, are fine. For development and tests. */
  readonly allowLoopback: boolean;
}

/** Resolves a name to all its addresses; `dns.lookup` with `all` is one. */
export type Resolve = (
  name: string,
  options: LookupOptions & { readonly all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

// IANA special-purpose address registries (RFC 6890 and its successors), as far as they are not globally reachable, and what
// carries an IPv4 address in an IPv6 one: mapped, compatible, NAT64, 6to4, Teredo.
const blocked4 = listOf('ipv4', [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]);
const blocked6 = listOf('ipv6', [
  '::/96',
  '::ffff:0:0/96',
  '::ffff:0:0:0/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]);
const loopback4 = listOf('ipv4', ['127.0.0.0/8']);
const loopback6 = listOf('ipv6', ['::1/128']);

function listOf(family: 'ipv4' | 'ipv6', subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [network = '', prefix] = subnet.split('/');
    list.addSubnet(network, Number(prefix), family);
  }
  return list;
}

/** Whether a connection to the address (not a name) is allowed. */
export function isAllowedAddress(address: string, { allowLoopback }: AddressRules): boolean {
  const family = isIP(address);
  if (family === 0) return false;
  const [blocked, loopback, name] =
    family === 4 ? ([blocked4, loopback4, 'ipv4'] as const) : ([blocked6, loopback6, 'ipv6'] as const);
  if (allowLoopback && loopback.check(address, name)) return true;
  return !blocked.check(address, name);
}

/** The code of failures of connections that were not made because of where they would have led. */
export const refusedCode = 'ERR_ADDRESS_REFUSED';

/** What a connection to such an address fails with. */
export function refusedAddress(what: string): Error {
  return Object.assign(new Error(`${what} is not a public address, or has one that is none`), { code: refusedCode });
}

/**
 * The URL of an endpoint, checked as far as it can be without resolving its name.
 *
 * @throws ENDPOINT_REFUSED
 */
export function checkedUrl(text: string, rules: AddressRules): URL {
  const refused = (reason: string): SpineError => new SpineError('ENDPOINT_REFUSED', { url: shown(text), reason });
  if (!URL.canParse(text)) throw refused('it is not a URL');
  const url = new URL(text);
  const fault = urlFault(url, rules);
  if (fault !== null) throw refused(fault);
  return url;
}

/** Why nothing is sent to a URL, as a clause that begins with "it" or "its"; null = nothing speaks against it so far. */
export function urlFault(url: URL, rules: AddressRules): string | null {
  // The parser has turned every way to write an IPv4 address into the usual one.
  const host = hostOf(url);
  const isLocal = host === 'localhost' || (isIP(host) !== 0 && isLoopbackAddress(host));
  const mayBePlain = rules.allowLoopback && isLocal && url.protocol === 'http:';
  if (url.protocol !== 'https:' && !mayBePlain) return 'it is not an https URL';
  if (url.username !== '' || url.password !== '') return 'it has a user or a password in it';
  if (url.hash !== '') return 'it has a fragment';
  if (isIP(host) !== 0 && !isAllowedAddress(host, rules)) return 'its address is not a public one';
  return null;
}

/** A lookup for connections that only ever gives addresses that are allowed; fails where one of a name is not. */
export function guardedLookup(rules: AddressRules, resolve: Resolve = lookup): LookupFunction {
  return (name, options, done) => {
    resolve(name, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return done(error, '', 0);
      const [first] = addresses;
      // One bad address among good ones is a trick, not a mistake.
      const isFine = addresses.every(({ address }) => isAllowedAddress(address, rules));
      if (first === undefined || !isFine) return done(refusedAddress(name), '', 0);
      if (options.all === true) done(null, addresses);
      else done(null, first.address, first.family);
    });
  };
}

/** The host of a URL as an address or a name, without the brackets of IPv6. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

function isLoopbackAddress(host: string): boolean {
  return isIP(host) === 4 ? loopback4.check(host, 'ipv4') : loopback6.check(host, 'ipv6');
}

/** A URL for messages, without what may be a secret in it. */
export function shown(text: string): string {
  return text
    .replace(/\/\/[^/@]*@/, '//')
    .replace(/[?#].*$/, '')
    .slice(0, 200);
}
