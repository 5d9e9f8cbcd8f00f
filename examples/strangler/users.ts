/** Users that ask at the same time, each one question after the other, as a page or a program of theirs would. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Question } from './answer.ts';

/** What users have met. */
export interface Met {
  /** Requests by their status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Time until something was answered to the first request of a question, ms. */
  readonly firstMs: readonly number[];
  /** Time until there was an answer to a question, ms. */
  readonly answeredMs: readonly number[];
  /** Questions that were given up after two times 504. */
  readonly unanswered: number;
}

/** Lets every user ask its questions. `unitMs`: how long a second takes. */
export async function ask(url: string, users: readonly (readonly Question[])[], unitMs: number): Promise<Met> {
  const statuses: Record<string, number> = {};
  const firstMs: number[] = [];
  const answeredMs: number[] = [];
  let unanswered = 0;

  async function get(
    path: string,
    user: string,
    headers: Record<string, string> = {},
    body?: string,
  ): Promise<Response> {
    const posted = body === undefined ? {} : { method: 'POST', body };
    const answer = await fetch(new URL(path, url), { ...posted, headers: { ...headers, 'x-user': user } });
    statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
    return answer;
  }

  async function askOne(user: string, question: Question): Promise<void> {
    const since = performance.now();
    for (let attempt = 1; attempt <= 2; attempt++) {
      const headers = { 'content-type': 'application/json', 'idempotency-key': `"${user}/${question.text}"` };
      let answer = await get('/answer', user, headers, JSON.stringify(question));
      if (attempt === 1) firstMs.push(performance.now() - since);
      while (answer.status === 202) {
        await answer.arrayBuffer();
        await pause(Number(answer.headers.get('retry-after') ?? 1) * unitMs);
        answer = await get(answer.headers.get('location') ?? '', user);
      }
      await answer.arrayBuffer();
      if (answer.status === 200) return void answeredMs.push(performance.now() - since);
    }
    unanswered += 1;
  }

  await Promise.all(
    users.map(async (questions, user) => {
      for (const question of questions) await askOne(`user-${user}`, question);
    }),
  );
  return { statuses, firstMs, answeredMs, unanswered };
}

/** Questions whose work takes 8 to 33 seconds, spread evenly: `each` for every user. */
export function questionsOf(users: number, each: number, unitMs: number): readonly (readonly Question[])[] {
  const all = users * each;
  return Array.from({ length: users }, (_, user) =>
    Array.from({ length: each }, (_, i) => {
      const number = i * users + user;
      const place = ((number * 37) % all) / (all - 1);
      return { text: `question ${number}`, ms: Math.round((8 + 25 * place) * unitMs) };
    }),
  );
}

/** The value below which `share` of them lie. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
