/** Publishes events over HTTP and measures how long the server takes to accept one durably. */
import type { Client } from 'eventspine/client';
import type { App } from '../spine.ts';
import { quantile } from './statistics.ts';

/** An event that was accepted. */
export interface Accepted {
  /** The run that it started. */
  readonly run: string;
  /** `performance.now()` at the answer. */
  readonly at: number;
}

/** Publishes and measures. */
export interface Publisher {
  publish(topic: string, id: string, data: unknown): Promise<Accepted>;
  /** Times from request to the answer 202, ms: median, 99th percentile and their number. */
  latency(): { readonly p50: number; readonly p99: number; readonly count: number };
}

/** A publisher for this demo; `source` goes into every event. */
export function publisherOf(client: Client<App>, source: string): Publisher {
  const latencies: number[] = [];
  return {
    async publish(topic, id, data) {
      const begun = performance.now();
      const { runs } = await client.publish(topic, {
        specversion: '1.0',
        id,
        source,
        type: topic,
        time: new Date().toISOString(),
        datacontenttype: 'application/json',
        data,
      });
      const at = performance.now();
      latencies.push(at - begun);
      const [run] = runs;
      if (run === undefined) throw new Error(`The event ${id} of ${topic} started no run.`);
      return { run, at };
    },
    latency: () => ({ p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), count: latencies.length }),
  };
}
