/** The route says what it said before, and survives what it did not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSpine, memory } from 'eventspine';
import { testSpine } from 'eventspine/testing';
import { POST as before } from './route-before.ts';
import { routesOf } from './routes.ts';
import { app } from './spine.ts';

const ask = (headers: Record<string, string> = {}): Request =>
  new Request('http://localhost/chat', { method: 'POST', headers, body: JSON.stringify({ prompt: 'Do domes leak?' }) });

interface Heard {
  readonly text: string;
  readonly lastId: string | null;
}

/** Reads events until there are no more, or until so many parts of the text were heard. */
async function listen(response: Response, partsMax = Number.POSITIVE_INFINITY): Promise<Heard> {
  let [rest, text, parts] = ['', '', 0];
  let lastId: string | null = null;
  const decoder = new TextDecoder();
  // Leaving the loop cancels the body, as a reload of the page does.
  for await (const bytes of response.body ?? []) {
    rest += decoder.decode(bytes, { stream: true });
    const events = rest.split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const [, id] = /^id: (.*)$/m.exec(event) ?? [];
      const [, name] = /^event: (.*)$/m.exec(event) ?? [];
      const [, data = 'null'] = /^data: (.*)$/m.exec(event) ?? [];
      if (name === 'restart') text = '';
      if (name !== 'text') continue;
      text += JSON.parse(data) as string;
      lastId = id ?? null;
      if (++parts >= partsMax) return { text, lastId };
    }
  }
  return { text, lastId };
}

void test('says the same as before', async () => {
  const spine = createSpine(app, { store: memory() });
  try {
    const { POST } = routesOf(spine);
    assert.equal((await listen(await POST(ask()))).text, (await listen(await before(ask()))).text);
  } finally {
    await spine.close();
  }
});

void test('goes on for a reader that comes back, from the part that it has seen', async () => {
  const spine = createSpine(app, { store: memory() });
  try {
    const { POST, GET } = routesOf(spine);
    const response = await POST(ask());
    const id = response.headers.get('x-run-id') ?? '';
    const first = await listen(response, 3);
    const again = new Request(`http://localhost/chat/${id}`, { headers: { 'last-event-id': first.lastId ?? '' } });
    const second = await listen(await GET(again, id));
    const whole = await listen(await GET(new Request(`http://localhost/chat/${id}`), id));
    assert.equal(first.text + second.text, whole.text);
    assert.equal(whole.text, await spine.run<'chat'>(id).result());
  } finally {
    await spine.close();
  }
});

void test('asks the model one time for a request that is sent twice', async () => {
  const spine = createSpine(app, { store: memory() });
  try {
    const { POST } = routesOf(spine);
    const [one, two] = await Promise.all([
      POST(ask({ 'idempotency-key': 'k' })),
      POST(ask({ 'idempotency-key': 'k' })),
    ]);
    assert.equal(one.headers.get('x-run-id'), two.headers.get('x-run-id'));
    assert.equal((await listen(one)).text, (await listen(two)).text);
  } finally {
    await spine.close();
  }
});

void test('comes to an answer when the process dies at every await', async () => {
  const t = await testSpine(app, { crash: 'every-await' });
  try {
    assert.match(await t.result(await t.start('chat', { prompt: 'Hello.' })), /^You said: Hello\./);
  } finally {
    await t.close();
  }
});
