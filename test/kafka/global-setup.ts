/** One broker for all files of the project: found or started before them, stopped after them. */
import { rmSync } from 'node:fs';
import type { TestProject } from 'vitest/node';
import { kafkaClient } from '../../scripts/kafka-client.mjs';
import { findKafka, freePort } from '../../scripts/kafka.mjs';
import { secureListener, type SecureListener } from '../support/kafka/secure-listener.js';

/** What the files of the project are given. */
export interface KafkaPlaces {
  /** URL of the client's module; null = it cannot be used here, for the reason given. */
  readonly client: string | null;
  /** A real broker; null = there is none, for the reason given. */
  readonly real: RealKafka | null;
  readonly reason: string;
}

export interface RealKafka {
  readonly brokers: string;
  readonly version: string;
  /** Folder of Kafka's own programs; null where the broker is somebody else's. */
  readonly jars: string | null;
  /** Ways to the broker by which something may stand between, one for each file that wants it; null where the broker is not ours. */
  readonly links: { readonly classic: LinkPorts; readonly consumer: LinkPorts } | null;
  /** The way in with TLS and SASL, and the certificate to trust. */
  readonly secure: { readonly brokers: string; readonly ca: string } | null;
}

/** The broker listens at `port` and tells clients to come to `linkPort`. */
export interface LinkPorts {
  readonly port: number;
  readonly linkPort: number;
}

declare module 'vitest' {
  export interface ProvidedContext {
    kafka: KafkaPlaces;
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const found = kafkaClient();
  if (found.node === null || found.node !== process.execPath) {
    const reason = found.node === null ? found.reason : `the client wants another Node: run it by ${found.node}`;
    console.log(`No client for Kafka: ${reason}.`);
    project.provide('kafka', { client: null, real: null, reason });
    return async () => undefined;
  }
  const secure = secureListenerHere();
  const links = { classic: await linkPorts(), consumer: await linkPorts() };
  const securePort = await freePort();
  const server = await findKafka({
    listeners: {
      CLASSIC: linked(links.classic),
      CONSUMER: linked(links.consumer),
      ...(secure === null ? {} : { [secureName]: { port: securePort, protocol: 'SASL_SSL' } }),
    },
    properties: secure?.properties ?? {},
    scram: secure?.scram ?? [],
  });
  const forget = (): void => {
    if (secure !== null) rmSync(secure.folder, { recursive: true, force: true });
  };
  if (server.brokers === null) {
    console.log(`No Kafka: ${server.reason}.`);
    project.provide('kafka', { client: found.client, real: null, reason: server.reason });
    forget();
    return async () => undefined;
  }
  console.log(`Kafka: ${server.source}.`);
  const { brokers, version } = server;
  project.provide('kafka', {
    client: found.client,
    real: {
      brokers,
      version,
      jars: server.own ? server.jars : null,
      links: server.own ? links : null,
      secure: server.own && secure !== null ? { brokers: `127.0.0.1:${securePort}`, ca: secure.ca } : null,
    },
    reason: '',
  });
  return async () => {
    await server.stop();
    forget();
  };
}

const secureName = 'SECURE';

async function linkPorts(): Promise<LinkPorts> {
  return { port: await freePort(), linkPort: await freePort() };
}

function linked({ port, linkPort }: LinkPorts): { port: number; advertisedPort: number; protocol: string } {
  return { port, advertisedPort: linkPort, protocol: 'PLAINTEXT' };
}

/** null where Java has no tool for certificates, or is not there at all. */
function secureListenerHere(): SecureListener | null {
  try {
    return secureListener(secureName);
  } catch {
    return null;
  }
}
