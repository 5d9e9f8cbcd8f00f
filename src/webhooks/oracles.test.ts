/**
 * The libraries of the senders as oracles: what they sign is believed here, what is signed here they believe, and of a request
 * that somebody has touched both say the same.
 */
import { sign as githubSign, verify as githubVerify } from '@octokit/webhooks-methods';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { sign } from './sign.js';
import { verify } from './verify.js';

const atMs = 1_700_000_000_000;
afterEach(() => void vi.useRealTimers());

const isBelieved = (check: () => unknown): boolean => {
  try {
    check();
    return true;
  } catch {
    return false;
  }
};

/** Printable and not: what comes as text in a body. Lone surrogates have no UTF-8 of their own. */
const body = fc.oneof(fc.json(), fc.string({ unit: 'binary', maxLength: 200 }), fc.constant(''));
const id = fc.stringMatching(/^[\w-]{1,40}$/);
const standardSecret = fc
  .uint8Array({ minLength: 24, maxLength: 64 })
  .map((bytes) => Buffer.from(bytes).toString('base64'));
/** What somebody on the way may do to a text. */
const touched = (text: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant(text) },
    { weight: 1, arbitrary: fc.nat(text.length).map((at) => `${text.slice(0, at)}x${text.slice(at)}`) },
    { weight: 1, arbitrary: fc.nat(text.length).map((at) => text.slice(0, at)) },
    { weight: 1, arbitrary: fc.constant(`${text} `) },
    { weight: 1, arbitrary: fc.constant('') },
  );

describe('standardwebhooks', () => {
  it('signs as we do, and believes what we believe', () => {
    vi.useFakeTimers({ now: atMs });
    const sample = fc.record({ secret: standardSecret, id, body, prefix: fc.constantFrom('', 'whsec_') });
    const asSent = sample.chain(({ secret, id, body, prefix }) => {
      const headers = sign.standard({ id, atMs, body }, prefix + secret);
      return fc.record({
        secret: fc.constant(prefix + secret),
        message: fc.constant({ id, body }),
        body: touched(body),
        id: touched(id),
        shiftS: fc.constantFrom(0, 0, 299, 300, 301, -300, -301),
        signature: fc.oneof(
          touched(headers['webhook-signature'] ?? ''),
          fc.constant(`v1,AAAA v2,BBBB ${headers['webhook-signature']}`),
        ),
      });
    });
    fc.assert(
      fc.property(asSent, ({ secret, message, body, id, shiftS, signature }) => {
        const theirs = new Webhook(secret);
        expect(theirs.sign(message.id, new Date(atMs), message.body)).toBe(
          sign.standard({ ...message, atMs }, secret)['webhook-signature'],
        );
        const nowMs = atMs + shiftS * 1000;
        vi.setSystemTime(nowMs);
        const headers = {
          'webhook-id': id,
          'webhook-timestamp': String(atMs / 1000),
          'webhook-signature': signature,
        };
        const mine = isBelieved(() => verify.standard({ headers, body }, { secret, nowMs }));
        expect(mine).toBe(isBelieved(() => theirs.verify(body, headers, { jsonParse: false })));
      }),
      { numRuns: 300 },
    );
  });
});

describe('@octokit/webhooks-methods', () => {
  it('signs as we do, and believes what we believe', async () => {
    const sample = fc
      .record({ secret: fc.string({ minLength: 1 }), body: fc.string({ unit: 'binary', minLength: 1 }) })
      .chain((sent) =>
        fc.record({
          sent: fc.constant(sent),
          body: touched(sent.body).filter((text) => text !== ''),
          signature: touched(sign.github({ id: 'd', body: sent.body }, sent.secret)['x-hub-signature-256'] ?? ''),
        }),
      );
    await fc.assert(
      fc.asyncProperty(sample, async ({ sent, body, signature }) => {
        const headers = sign.github({ id: 'd', body: sent.body }, sent.secret);
        expect(await githubSign(sent.secret, sent.body)).toBe(headers['x-hub-signature-256']);
        if (signature === '') return;
        const mine = isBelieved(() =>
          verify.github({ headers: { 'x-hub-signature-256': signature }, body }, { secret: sent.secret }),
        );
        expect(mine).toBe(await githubVerify(sent.secret, body, signature));
      }),
      { numRuns: 200 },
    );
  });
});

describe('stripe', () => {
  it('signs as we do, and believes what we believe', () => {
    const stripe = new Stripe('sk_test_none');
    const sample = fc.record({ secret: fc.stringMatching(/^whsec_\w{10,30}$/), body: fc.json() }).chain((sent) =>
      fc.record({
        sent: fc.constant(sent),
        body: touched(sent.body),
        shiftS: fc.constantFrom(0, 0, 299, 300, 301),
        secret: fc.oneof(fc.constant(sent.secret), fc.constant('whsec_other')),
      }),
    );
    fc.assert(
      fc.property(sample, ({ sent, body, shiftS, secret }) => {
        const header = stripe.webhooks.generateTestHeaderString({
          payload: sent.body,
          secret: sent.secret,
          timestamp: atMs / 1000,
        });
        expect(sign.stripe({ atMs, body: sent.body }, sent.secret)['stripe-signature']).toBe(header);
        const nowMs = atMs + shiftS * 1000;
        const mine = isBelieved(() =>
          verify.stripe({ headers: { 'stripe-signature': header }, body }, { secret, nowMs }),
        );
        const theirs = isBelieved(() =>
          stripe.webhooks.signature?.verifyHeader(body, header, secret, 300, undefined, nowMs),
        );
        expect(mine).toBe(theirs);
      }),
      { numRuns: 200 },
    );
  });
});
