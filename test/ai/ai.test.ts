import { afterEach, describe, expect, it } from 'vitest';
import { createSpine, memory } from '../../src/spine/index.js';
import { openaiCompatible } from '../../src/models/index.js';
import { startModelEndpoint, type ModelEndpoint } from '../support/model-endpoint/endpoint.js';
import type { Script } from '../support/model-endpoint/script.js';
import { programsOf, type SdkVersion } from './programs.js';

const script: Script = {
  conversations: [
    {
      match: 'weather',
      turns: [
        {
          text: 'I look.',
          tools: [
            { name: 'look', arguments: { city: 'Lima' } },
            { name: 'look', arguments: { city: 'Oslo' } },
          ],
        },
        { tools: [{ name: 'send', arguments: { to: 'ada' } }] },
        { text: 'It is sent.' },
      ],
    },
    { match: 'structured', turns: [{ text: '{"title":"Sea","mood":"wild"}' }] },
  ],
};

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function start(version: SdkVersion, of: Script = script) {
  const endpoint: ModelEndpoint = await startModelEndpoint(of);
  const calls: string[] = [];
  const use = openaiCompatible({ baseUrl: endpoint.url, model: 'm' });
  const app = programsOf(version, use, {
    look: (city, key) => (calls.push(`look ${city}`), { city, key }),
    send: (to) => (calls.push(`send ${to}`), 'sent'),
  });
  const spine = createSpine(app, { store: memory() });
  ends.push(
    () => spine.close(),
    () => endpoint.close(),
  );
  return { endpoint, spine, calls };
}

describe.each([6, 7] as const)('version %d of the AI SDK in ctx.ai', (version) => {
  it('answers a prompt', async () => {
    const { spine, endpoint } = await start(version);
    const run = await spine.start('whole', 'Hello');
    expect(await run.result()).toEqual({ text: 'You said: Hello', tokens: expect.any(Number) as unknown });
    expect(endpoint.books().inferences).toHaveLength(1);
  });

  it('streams', async () => {
    const { spine } = await start(version);
    const run = await spine.start('streamed', 'Hello');
    const chunks: unknown[] = [];
    for await (const item of run.chunks('draft')) chunks.push(item.event === 'chunk' ? item.value : item.event);
    console.log(JSON.stringify(chunks));
    expect(await run.result()).toEqual('You said: Hello');
  });

  it('tools', async () => {
    const { spine, calls } = await start(version);
    const run = await spine.start('tooled', 'weather');
    console.log(JSON.stringify(await run.result()), calls);
    for await (const e of run.history()) console.log(e.seq, e.type, JSON.stringify(e.data).slice(0, 150));
  });

  it('rest', async () => {
    const { spine } = await start(version);
    for (const name of ['agent', 'parallel', 'structured', 'pictured'] as const) {
      const run = await spine.start(name, 'weather');
      console.log(name, JSON.stringify(await run.result()));
    }
  });
});
