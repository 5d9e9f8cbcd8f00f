/**
 * An endpoint as a process: `node endpoint.mjs <port> <secret> <file>`. Every execution of user code is a line of the file.
 */
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { capability, defineApp, workflow } from 'eventspine';
import { createHandler } from 'eventspine/serverless';

const [port, secret, file] = process.argv.slice(2);
const ran = (run, what) => appendFileSync(file, `${run} ${what}\n`);
const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

const double = capability('double', { retry: { attempts: 20, min: 1, max: 50 } });
const app = defineApp({
  name: 'function',
  handlers: [
    double.implement(async (value, { run }) => {
      await pause(60);
      ran(run.id, 'double');
      return value * 2;
    }),
  ],
  workflows: [
    workflow('counts', { retry: { attempts: 50, min: 1, max: 50 } }, async (ctx, value) => {
      const first = await ctx.step('first', async () => {
        await pause(40);
        ran(ctx.run.id, 'first');
        return value + 1;
      });
      const second = await ctx.call(double, first);
      await ctx.sleep('50ms');
      return ctx.step('last', () => (ran(ctx.run.id, 'last'), second + 1));
    }),
  ],
});
const handler = createHandler(app, { secret });

const answerTo = async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const answer = await handler(
    new Request('http://endpoint/', { method: request.method, headers: request.headers, body }),
  );
  response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
};

createServer((request, response) => void answerTo(request, response)).listen(Number(port), '127.0.0.1', () =>
  console.log('ready'),
);
