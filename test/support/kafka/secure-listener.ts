/** A listener of a real broker with TLS and SASL, by a certificate that is made for it with Java's own tool. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Who may come, and by what. */
export const secureUser = { username: 'spine', password: 'scram secret', plainPassword: 'plain-secret' } as const;

export interface SecureListener {
  readonly folder: string;
  /** Certificate of the broker, PEM: nobody has signed it, so that it is to be trusted by itself. */
  readonly ca: string;
  readonly properties: Readonly<Record<string, string>>;
  /** Arguments of `kafka-storage format --add-scram`. */
  readonly scram: readonly string[];
}

/** For a listener of that name. Throws where Java has no `keytool`. */
export function secureListener(name: string): SecureListener {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-kafka-tls-'));
  const keystore = join(folder, 'broker.p12');
  const store = ['-keystore', keystore, '-storetype', 'PKCS12', '-storepass', storePassword, '-alias', 'broker'];
  keytool([
    '-genkeypair',
    ...store,
    '-keyalg',
    'EC',
    '-dname',
    'CN=127.0.0.1',
    '-ext',
    'SAN=ip:127.0.0.1',
    '-validity',
    '30',
  ]);
  const ca = keytool(['-exportcert', '-rfc', ...store]);
  const prefix = `listener.name.${name.toLowerCase()}.`;
  const module = 'org.apache.kafka.common.security';
  return {
    folder,
    ca,
    properties: {
      [`${prefix}ssl.keystore.location`]: keystore,
      [`${prefix}ssl.keystore.type`]: 'PKCS12',
      [`${prefix}ssl.keystore.password`]: storePassword,
      [`${prefix}sasl.enabled.mechanisms`]: 'SCRAM-SHA-256,SCRAM-SHA-512,PLAIN',
      [`${prefix}scram-sha-256.sasl.jaas.config`]: `${module}.scram.ScramLoginModule required;`,
      [`${prefix}scram-sha-512.sasl.jaas.config`]: `${module}.scram.ScramLoginModule required;`,
      [`${prefix}plain.sasl.jaas.config`]: `${module}.plain.PlainLoginModule required user_${secureUser.username}="${secureUser.plainPassword}";`,
    },
    scram: ['SCRAM-SHA-256', 'SCRAM-SHA-512'].map(
      (mechanism) => `${mechanism}=[name=${secureUser.username},password=${secureUser.password}]`,
    ),
  };
}

const storePassword = 'changeit';

function keytool(args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync('keytool', args, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`keytool: ${stdout}${stderr}`);
  return stdout;
}
