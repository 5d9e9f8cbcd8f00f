/** Tools of the chat, as the AI SDK has them. */
import { tool } from 'ai';
import { z } from 'zod';

const degrees: Readonly<Record<string, number>> = { Lima: 19, Oslo: -3, Nairobi: 24 };

export const tools = {
  weather: tool({
    description: 'The weather in a city.',
    inputSchema: z.object({ city: z.string() }),
    execute: ({ city }) => ({ city, degrees: degrees[city] ?? 12 }),
  }),
};
