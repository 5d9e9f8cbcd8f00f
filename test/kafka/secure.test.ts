/** TLS and SASL against a real broker: who may come in does, and who may not is told so at once. */
import { randomUUID } from 'node:crypto';
import { afterEach, describe, expect, inject, it } from 'vitest';
import type { KafkaOptions } from '../../src/buses/kafka/index.js';
import type { Bus } from '../../src/bus/index.js';
import { hasCode } from '../../src/core/errors.js';
import { describeUnless } from '../skip.js';
import { secureUser } from '../support/kafka/secure-listener.js';
import { openKafka } from './places.js';

const { real, reason } = inject('kafka');
const secure = real?.secure ?? null;

describeUnless(
  secure === null ? (real === null ? reason : 'the broker is not ours, or Java has no keytool') : null,
  'Kafka behind TLS and SASL',
  () => {
    if (secure === null) return;
    const { brokers, ca } = secure;
    const open: Bus[] = [];
    const connect = async (options: Partial<KafkaOptions>): Promise<Bus> => {
      const bus = await openKafka({ brokers: [brokers], tls: { ca }, ...options });
      open.push(bus);
      return bus;
    };

    afterEach(async () => {
      await Promise.all(open.splice(0).map((bus) => bus.close()));
    });

    describe('lets in', () => {
      for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512', 'PLAIN'] as const) {
        it(`by ${mechanism}, to write and to read`, async () => {
          const password = mechanism === 'PLAIN' ? secureUser.plainPassword : secureUser.password;
          const bus = await connect({ sasl: { mechanism, username: secureUser.username, password } });
          const topic = `secure-${randomUUID()}`;
          await bus.ensure([{ name: topic, partitions: 1 }]);
          const [answer] = await bus.publish([message(topic)]);
          expect(answer?.tag).toBe('published');
          const ids: (string | null)[] = [];
          await new Promise<void>((resolve, reject) => {
            const options = { topics: [topic], group: topic, from: 'oldest' as const, batchMax: 1, waitMs: 1 };
            void bus
              .subscribe({ ...options, onFailed: reject }, async (batch) => {
                ids.push(...batch.map(({ id }) => id));
                resolve();
                return batch.map(() => ({ tag: 'ack' }));
              })
              .catch(reject);
          });
          expect(ids).toEqual(['evt_1']);
        });
      }
    });

    describe('refuses', () => {
      it('a wrong password, and calls it nothing to try again', async () => {
        const bus = await connect({
          sasl: { mechanism: 'SCRAM-SHA-256', username: secureUser.username, password: 'wrong' },
        });
        const [answer] = await bus.publish([message('any')]);
        expect(answer).toMatchObject({ tag: 'failed', retryable: false });
        await expect(subscribe(bus)).rejects.toSatisfy((error) => hasCode(error, 'BUS_REFUSED'));
      });

      it('a certificate that we have no reason to trust', async () => {
        const bus = await openKafka({
          brokers: [brokers],
          tls: {},
          sasl: { mechanism: 'SCRAM-SHA-256', username: secureUser.username, password: secureUser.password },
        });
        open.push(bus);
        const [answer] = await bus.publish([message('any')]);
        expect(answer?.tag).toBe('failed');
        await expect(subscribe(bus)).rejects.toThrow();
      });
    });
  },
);

function message(topic: string): Parameters<Bus['publish']>[0][number] {
  return { id: 'evt_1', topic, key: 'k', headers: {}, body: new TextEncoder().encode('secret') };
}

function subscribe(bus: Bus): Promise<unknown> {
  const options = { topics: ['any'], group: 'any', from: 'oldest' as const, batchMax: 1, waitMs: 1 };
  return bus.subscribe({ ...options, onFailed: () => undefined }, async (batch) => batch.map(() => ({ tag: 'ack' })));
}
