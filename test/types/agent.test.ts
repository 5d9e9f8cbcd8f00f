/** Types of agents: what is inferred, and what must not compile. `tsc` is the judge. */
import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import type { Client } from '../../src/client/index.js';
import { agent, defineApp, message, topic, workflow, type AgentNameOf } from '../../src/workflow/index.js';

const noted = topic('noted', { schema: z.object({ book: z.string(), text: z.string() }), key: 'book' });
const search = message('search', {
  schema: z.object({ word: z.string(), limit: z.number().default(10) }),
  reply: z.object({ found: z.array(z.string()) }),
});
const forget = message('forget');

const librarian = agent('librarian', {
  messages: [noted, search, forget],
  state: z.object({ notes: z.array(z.string()) }),
  initial: { notes: [] },
  on: {
    noted: (self, { data }) => {
      expectTypeOf(data).toEqualTypeOf<{ book: string; text: string }>();
      expectTypeOf(self.state).toEqualTypeOf<{ notes: string[] }>();
      self.state.notes.push(data.text);
    },
    search: async (self, { data }) => {
      expectTypeOf(data).toEqualTypeOf<{ word: string; limit: number }>();
      const other = await self.ask('librarian', 'other', search, { word: data.word });
      expectTypeOf(other).toEqualTypeOf<{ found: string[] }>();
      return { found: self.state.notes };
    },
    forget: (self, { data }) => {
      expectTypeOf(data).toEqualTypeOf<unknown>();
      self.state = { notes: [] };
    },
  },
});

const flow = workflow('flow', {}, async (ctx) => {
  await ctx.tell(librarian, 'b', forget, null);
  const { found } = await ctx.ask(librarian, 'b', search, { word: 'w', limit: 3 });
  expectTypeOf(found).toEqualTypeOf<string[]>();
  return found.length;
});

const app = defineApp({ agents: [librarian], workflows: [flow] });
type App = typeof app;

describe('types of agents', () => {
  it('name the agents of an app', () => {
    expectTypeOf<AgentNameOf<App>>().toEqualTypeOf<'librarian'>();
    expect(app.agents.map(({ name }) => name)).toEqual(['librarian']);
    expect(app.manifest.workflows.map(({ name, agent: body }) => [name, body !== undefined])).toEqual([
      ['flow', false],
      ['librarian', true],
    ]);
  });

  it('say what a client sends and gets', () => {
    const use = async (client: Client<App>): Promise<void> => {
      const handle = client.agent('librarian', 'b');
      await handle.tell('noted', { book: 'b', text: 't' });
      expectTypeOf(await handle.ask('search', { word: 'w' })).toEqualTypeOf<{ found: string[] }>();
      // @ts-expect-error There is no such agent.
      client.agent('nobody', 'b');
      // @ts-expect-error There is no such message.
      await handle.tell('shout', null);
      // @ts-expect-error The data is another.
      await handle.tell('noted', { book: 1 });
    };
    expectTypeOf(use).toBeFunction();
  });

  it('refuse handlers and messages that do not fit', () => {
    const faulty = (): unknown =>
      agent('faulty', {
        messages: [search],
        initial: null,
        // @ts-expect-error The answer is another.
        on: { search: () => ({ found: 1 }) },
      });
    const missing = (): unknown =>
      // @ts-expect-error There is no handler for it.
      agent('missing', { messages: [search], initial: null, on: {} });
    expect(faulty).not.toThrow();
    expect(missing).toThrow(/on has no handler for "search"/);
  });

  it('name all faults of options', () => {
    const bad = { messages: [topic('keyless')], initial: 1, on: { keyless: () => 1, other: () => 1 }, onError: 'stop' };
    const make = (): unknown => agent('bad name', bad as never);
    expect(make).toThrow(/the name may hold/);
    expect(make).toThrow(/topic "keyless" has no key/);
    expect(make).toThrow(/on\["other"\] is for none of messages/);
    expect(make).toThrow(/onError must be/);
  });
});
