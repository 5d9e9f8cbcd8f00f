/**
 * Agents: a desk for each customer, who remembers the conversation, and an expert for each product, who learns from what is
 * published and is asked by the desks. What an expert cannot take goes before the head of the department. Start it with
 * `npx eventspine dev examples/support-desk/spine.ts`, then
 * `npx eventspine agents ask desk ann said '{"product":"kettle","text":"how do I remove lime"}'`.
 */
import { agent, defineApp, message, Terminal, topic, type EscalatedMessage } from 'eventspine';
import { z } from 'zod';

/** A note about a product; its key is the product, so it reaches the expert of that product. */
export const notePublished = topic('note.published', {
  schema: z.object({ product: z.string(), about: z.string(), text: z.string() }),
  key: 'product',
});

export const said = message('said', {
  schema: z.object({ product: z.string(), text: z.string() }),
  reply: z.object({ text: z.string(), turn: z.number() }),
});
export const wanted = message('wanted', {
  schema: z.object({ words: z.array(z.string()) }),
  reply: z.string().nullable(),
});
export const escalated = message('escalated', { schema: z.custom<EscalatedMessage>() });

/** Takes what others have given up on, so that a person can look at it. */
export const head = agent('head', {
  messages: [escalated],
  state: z.object({ cases: z.array(z.object({ agent: z.string(), key: z.string(), reason: z.string() })) }),
  initial: { cases: [] },
  on: {
    escalated: (self, { data }) => {
      self.state.cases.push({ agent: data.agent, key: data.key, reason: data.error.message });
    },
  },
});

export const expert = agent('expert', {
  messages: [notePublished, wanted],
  state: z.object({ notes: z.record(z.string(), z.string()) }),
  initial: { notes: {} },
  retry: { attempts: 2 },
  onError: { escalate: head, key: 'products', message: escalated },
  on: {
    'note.published': (self, { data }) => {
      if (data.text === '') throw new Terminal(`The note about "${data.about}" is empty.`);
      self.state.notes[data.about] = data.text;
    },
    wanted: (self, { data }) => {
      const about = data.words.find((word) => word in self.state.notes);
      return about === undefined ? null : (self.state.notes[about] ?? null);
    },
  },
});

export const desk = agent('desk', {
  messages: [said],
  state: z.object({ turns: z.number() }),
  initial: { turns: 0 },
  on: {
    said: async (self, { data }) => {
      // Understanding a question would be a call of a model: work of its own, recorded, not done twice.
      const words = await self.step('understand', data.text, (text) => text.toLowerCase().match(/[a-z]+/g) ?? []);
      const found = await self.ask(expert, data.product, wanted, { words });
      self.state.turns += 1;
      return { text: found ?? 'I shall ask a colleague.', turn: self.state.turns };
    },
  },
});

export const app = defineApp({ name: 'support-desk', topics: [notePublished], agents: [desk, expert, head] });
