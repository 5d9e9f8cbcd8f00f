/** Types of a strangled route: what is inferred from the spine and the handler, and what must not compile. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { createClient } from '../../src/client/index.js';
import { createSpine, memory } from '../../src/spine/index.js';
import { strangle } from '../../src/strangle/index.js';
import { app, type App } from './design-program.js';

/** As a framework takes handlers. */
type RequestHandler = (request: IncomingMessage & { body?: { text: string } }, response: ServerResponse) => void;
declare function post(path: string, handler: RequestHandler): void;

/** Never called: types only. */
function Types(): void {
  const spine = createSpine(app, { store: memory() });
  const client = createClient<App>({ url: 'http://127.0.0.1:8787' });

  const route = async (request: Request): Promise<Response> => Response.json(await request.json());
  const strangled = strangle(route, {
    spine,
    workflow: 'answer',
    input: ({ body }) => ({ question: String(body), tenant: 'acme' }),
    output: (result) => {
      expectTypeOf(result.published).toEqualTypeOf<boolean>();
      return result;
    },
    async: (request) => request.headers.get('x-beta') === '1',
  });
  expectTypeOf(strangled).toExtend<typeof route>();
  expectTypeOf(strangled.status).toEqualTypeOf<typeof route>();

  // The framework still says what its handler is given.
  post(
    '/answer',
    strangle((request, response) => void response.end(request.body?.text), {
      spine: client,
      workflow: 'answer',
      input: () => ({ question: 'why?', tenant: 'acme' }),
    }),
  );
  strangle(route, {
    spine,
    workflow: 'answer',
    // @ts-expect-error: the input lacks its tenant
    input: () => ({ question: 'why?' }),
  });
  // @ts-expect-error: there is no such workflow
  strangle(route, { spine, workflow: 'answr', input: () => ({}) });
  // Without an app nothing is checked.
  strangle(route, { spine: createClient({ url: 'http://127.0.0.1:8787' }), workflow: 'anything', input: () => 1 });
}

describe('types of a strangled route', () => {
  it('come from the spine and from the handler', () => {
    expect(Types).toBeTypeOf('function');
  });
});
