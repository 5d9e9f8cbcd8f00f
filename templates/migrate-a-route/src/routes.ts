/**
 * The route as it is now. `POST /chat` records the question and streams the answer, as before; `GET /chat/<run>` gives the
 * same answer again, from its beginning or from where the reader was (`Last-Event-ID`), whoever asks and however often.
 */
import type { RunHandle, Spine } from 'eventspine';
import { Chat, type App } from './spine.ts';
import { eventStream, type ServerEvent } from './server-events.ts';

/** Handlers in the form of Next.js, Hono and others: a `Request` in, a `Response` out. */
export function routesOf(spine: Spine<App>): {
  readonly POST: (request: Request) => Promise<Response>;
  readonly GET: (request: Request, runId: string) => Promise<Response>;
} {
  return {
    async POST(request) {
      const input = Chat.safeParse(await request.json().catch(() => null));
      if (!input.success) return Response.json({ error: input.error.issues }, { status: 400 });
      const key = request.headers.get('idempotency-key');
      const run = await spine.start('chat', input.data, key === null ? {} : { idempotencyKey: key });
      return eventStream(replyOf(run), { 'x-run-id': run.id, location: `/chat/${run.id}` });
    },

    GET(request, runId) {
      const seen = request.headers.get('last-event-id');
      return Promise.resolve(eventStream(replyOf(spine.run<'chat'>(runId), seen === null ? -1 : Number(seen))));
    },
  };
}

/** What the step says, after the parts that were seen. A reader that is told `restart` forgets what it has. */
async function* replyOf(run: RunHandle<unknown>, seen = -1): AsyncGenerator<ServerEvent> {
  for await (const item of run.chunks('reply', { after: seen })) {
    if (item.event === 'chunk') yield { event: 'text', data: item.value, id: String(item.offset) };
    else if (item.event === 'restart') yield { event: 'restart', data: item.attempt };
    else yield { event: 'end', data: item.ok };
  }
}
