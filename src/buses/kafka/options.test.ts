import { describe, expect, it } from 'vitest';
import { settingsOf, type KafkaOptions } from './options.js';

const brokers = ['127.0.0.1:9092'];

function faultsOf(options: unknown): readonly string[] {
  try {
    settingsOf(options as KafkaOptions);
    return [];
  } catch (error) {
    return (error as { detail: { faults: readonly string[] } }).detail.faults;
  }
}

describe('options of Kafka', () => {
  it('have defaults for all but the brokers', () => {
    expect(settingsOf({ brokers: ['one:9092', '[::1]:9093'] })).toEqual({
      brokers: ['one:9092', '[::1]:9093'],
      clientId: 'eventspine',
      tls: null,
      sasl: null,
      groupProtocol: 'classic',
      sessionMs: 30_000,
      messageBytesMax: 1_000_000,
      bufferedBytesMax: 32 * 1024 * 1024,
      replicas: null,
    });
  });

  it('are refused with every fault at once', () => {
    const faults = faultsOf({
      brokers: ['localhost', 7],
      clientID: 'x',
      sessionMs: 10,
      groupProtocol: 'share',
      sasl: { mechanism: 'SCRAM-SHA-256', username: 'u' },
    });
    expect(faults).toEqual([
      'clientID is not an option',
      'brokers: "localhost" is not host:port',
      'brokers: 7 is not host:port',
      'sasl.password is missing',
      'sessionMs is not a whole number between 1000 and 1800000',
      'groupProtocol is neither "classic" nor "consumer"',
    ]);
  });

  it('never tell a password', () => {
    expect(JSON.stringify(faultsOf({ brokers: [], sasl: { mechanism: 'NTLM', password: 'hunter2' } }))).not.toContain(
      'hunter2',
    );
  });

  it('want a token for OAUTHBEARER, and user and password for the rest', () => {
    expect(faultsOf({ brokers, sasl: { mechanism: 'OAUTHBEARER' } })).toEqual(['sasl.token is missing']);
    expect(faultsOf({ brokers, sasl: { mechanism: 'PLAIN', username: 'u', password: () => 'p' } })).toEqual([]);
  });
});
