import type { LookupAddress } from 'node:dns';
import { describe, expect, it } from 'vitest';
import { checkedUrl, guardedLookup, isAllowedAddress, refusedCode, type AddressRules } from './address-guard.js';

const strict: AddressRules = { allowLoopback: false };
const loose: AddressRules = { allowLoopback: true };

/** Ways to write addresses that nobody outside may be sent to; the URL parser turns many of them into one. */
const hidden = [
  '127.0.0.1',
  '127.1',
  '127.0.1',
  '0x7f.0.0.1',
  '0x7f000001',
  '0177.0.0.1',
  '2130706433',
  '127.0.0.1.',
  '0',
  '0.0.0.0',
  '①②⑦.⓪.⓪.①',
  '10.0.0.1',
  '10.255.255.255',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '169.254.169.254',
  '0xa9fea9fe',
  '100.64.0.1',
  '192.0.0.8',
  '198.18.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '240.0.0.1',
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::127.0.0.1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::ffff:10.0.0.1]',
  '[::ffff:8.8.8.8]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b::169.254.169.254]',
  '[64:ff9b:1::1]',
  '[2002:7f00:1::]',
  '[2001:0:1::1]',
  '[fc00::1]',
  '[fd00:ec2::254]',
  '[fe80::1]',
  '[fec0::1]',
  '[ff02::1]',
  '[2001:db8::1]',
  '[100::1]',
];

describe('the address of an endpoint', () => {
  it.each(hidden)('is not %s', (host) => {
    expect(() => checkedUrl(`https://${host}/x`, strict)).toThrow(
      expect.objectContaining({ code: 'ENDPOINT_REFUSED' }),
    );
  });

  it.each([
    'https://example.com/x',
    'https://8.8.8.8/',
    'https://[2606:4700::1111]/',
    'https://172.32.0.1/',
    'https://x.y:8443/a?k=v',
  ])('may be %s', (url) => {
    expect(checkedUrl(url, strict).href).toBe(new URL(url).href);
  });

  it.each([
    'http://example.com/',
    'ftp://example.com/',
    'file:///etc/passwd',
    'unix:/x',
    'https://u@example.com/',
    'https://u:p@example.com/',
    'https://example.com/#x',
    'nonsense',
    '',
  ])('is no %s', (url) => {
    expect(() => checkedUrl(url, strict)).toThrow(expect.objectContaining({ code: 'ENDPOINT_REFUSED' }));
    expect(() => checkedUrl(url, loose)).toThrow();
  });

  it('may be on this machine where the operator says so, and on no other of the network', () => {
    for (const url of ['http://127.0.0.1:1/', 'http://localhost:1/', 'http://[::1]:1/', 'https://127.0.0.1/'])
      expect(checkedUrl(url, loose).href).toBe(url);
    for (const host of ['10.0.0.1', '169.254.169.254', '[::ffff:127.0.0.1]', '0.0.0.0'])
      expect(() => checkedUrl(`https://${host}/`, loose)).toThrow();
  });

  it('is never told with the secrets that are in it', () => {
    expect(() => checkedUrl('http://user:hidden@example.com/?key=hidden', strict)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('hidden') as string }),
    );
  });
});

describe('a name', () => {
  const lookup = (addresses: LookupAddress[], rules = strict, all = false): Promise<unknown> =>
    new Promise((resolve) => {
      const guarded = guardedLookup(rules, (_, __, done) => done(null, addresses));
      guarded('example.com', { all }, (error, address) => resolve(error?.code ?? address));
    });
  const good = { address: '93.184.215.14', family: 4 };

  it('leads to the very address that was looked at', async () => {
    expect(await lookup([good])).toBe(good.address);
    expect(await lookup([good], strict, true)).toEqual([good]);
  });

  it('that has one bad address leads nowhere', async () => {
    for (const address of ['127.0.0.1', '::1', '10.1.1.1', '169.254.169.254', '::ffff:10.0.0.1', 'fe80::1%eth0'])
      expect(await lookup([good, { address, family: address.includes(':') ? 6 : 4 }])).toBe(refusedCode);
    expect(await lookup([])).toBe(refusedCode);
  });

  it('of this machine leads there where the operator says so', async () => {
    expect(await lookup([{ address: '127.0.0.1', family: 4 }], loose)).toBe('127.0.0.1');
    expect(isAllowedAddress('not an address', loose)).toBe(false);
  });
});
