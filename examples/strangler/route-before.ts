/** The route as it was: the request waits for all of the work, and the work lives as long as the request. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerOf, type Ask, type Question, shares } from './answer.ts';

/** `POST /answer` */
export function routeBefore(ask: Ask) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const { text, ms } = JSON.parse(body) as Question;
    const plan = await ask(`a plan for "${text}"`, ms * shares.plan);
    const draft = await ask(`a draft of ${plan}`, ms * shares.draft);
    const checked = await ask(draft, ms * shares.check);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(answerOf(plan, checked)));
  };
}
