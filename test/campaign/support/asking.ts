/**
 * A client of several servers, which asks the next one where nobody answers, as clients are told to. It asks again for as long
 * as a system may be away that somebody looks after, and then says what it has heard last.
 */

/** One answer of one server. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const requestMs = 3_000;
const readMs = 20_000;
/** How long a client asks before the system is taken for dead. */
const patienceMs = 90_000;

export class Asking {
  /** Requests without a usable answer; whether they were carried out is not known. */
  unanswered = 0;
  /** The longest that a start had to wait for its 202, over all servers. */
  longestStartMs = 0;
  readonly #urls: readonly string[];
  #next = 0;
  #last = 'nothing';

  constructor(urls: readonly string[]) {
    this.#urls = urls;
  }

  /** The server whose turn it is. */
  server(): string {
    this.#next += 1;
    return this.#urls[this.#next % this.#urls.length] ?? '';
  }

  /** Starts a run; asks again with the same key until somebody answers. Resolves with its id. */
  async start(
    workflow: string,
    key: string,
    input: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const begun = performance.now();
    for (;;) {
      const answer = await this.#ask(`/v1/workflows/${workflow}/runs`, requestMs, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(input),
      });
      const waited = performance.now() - begun;
      if (answer?.status === 202) {
        this.longestStartMs = Math.max(this.longestStartMs, waited);
        return (answer.body as { id: string }).id;
      }
      // A server that has just come may not have heard of the workflow.
      if (answer !== null && answer.status < 500 && ![404, 408, 409, 429].includes(answer.status))
        throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
      this.unanswered += 1;
      if (waited > patienceMs)
        throw new Error(`nobody took ${key} within ${patienceMs} ms; the last was ${this.#last}`);
      await pause(50);
    }
  }

  /** Cancels a run; asks again until somebody answers. */
  async cancel(run: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const begun = performance.now();
    for (;;) {
      const init = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: '{}' };
      const answer = await this.#ask(`/v1/runs/${run}/cancel`, requestMs, init);
      if (answer !== null && answer.status < 300) return;
      if (performance.now() - begun > patienceMs) throw new Error(`nobody cancels ${run}; the last was ${this.#last}`);
      await pause(100);
    }
  }

  /** The body of a 200; null = 404. Asks on where nobody answers. */
  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const begun = performance.now();
    for (;;) {
      const answer = await this.#ask(path, readMs, { headers });
      if (answer?.status === 200) return answer.body;
      if (answer?.status === 404) return null;
      if (performance.now() - begun > patienceMs) throw new Error(`${path}: the last was ${this.#last}`);
      await pause(100);
    }
  }

  /** One request at one server; null = no answer. */
  async #ask(path: string, ms: number, init: RequestInit): Promise<Answer | null> {
    const url = this.server() + path;
    try {
      const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(ms) });
      const body: unknown = await answer.json();
      this.#last = `${answer.status} ${JSON.stringify(body).slice(0, 300)} from ${url}`;
      return { status: answer.status, body };
    } catch (error) {
      const { cause } = error as { readonly cause?: unknown };
      this.#last = `${String(error)} (${String(cause)}) from ${url}`;
      return null;
    }
  }
}

/** Does the work for each, so many at a time. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
    }),
  );
}

export function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms));
}
