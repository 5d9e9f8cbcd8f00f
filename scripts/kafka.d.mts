export interface KafkaServer {
  readonly brokers: string;
  readonly version: string;
  readonly source: string;
  /** Folder of the jars. */
  readonly jars: string;
  readonly folder: string;
  log(): string;
  start(): Promise<void>;
  kill(): Promise<void>;
  stop(): Promise<void>;
}

export interface StartKafkaOptions {
  readonly port?: number | null;
  readonly data?: string | null;
  readonly properties?: Readonly<Record<string, string>>;
  readonly listeners?: Readonly<Record<string, { readonly port: number; readonly protocol: string; readonly advertisedPort?: number }>>;
  readonly scram?: readonly string[];
}

export interface KafkaToolResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const kafkaVersion: string;
export function kafkaJars(): string;
export function runKafkaTool(
  jars: string,
  main: string,
  args: readonly string[],
  options?: { readonly input?: string; readonly env?: Readonly<Record<string, string>>; readonly msMax?: number },
): KafkaToolResult;
export function startKafka(options?: StartKafkaOptions): Promise<KafkaServer>;
export function findKafka(options?: StartKafkaOptions): Promise<
  | (KafkaServer & { readonly own: true })
  | { readonly brokers: string; readonly version: string; readonly source: string; readonly own: false; stop(): Promise<void> }
  | { readonly brokers: null; readonly reason: string }
>;
export function freePort(): Promise<number>;
