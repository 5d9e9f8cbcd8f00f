/** Programs of the AI SDK in the test kit: fakes of models, fakes of programs, virtual time, crashes, and histories. */
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { defineApp, model, workflow } from '../../src/spine/index.js';
import { fakeModel, inTurn, replayHistory, testSpine } from '../../src/testing/index.js';
import { localModel } from '../../src/models/index.js';
import { Transient } from '../../src/workflow/index.js';
import { sdks } from './sdks.js';

// What the SDK reports of errors that are meant to be.
vi.spyOn(console, 'error').mockImplementation(() => undefined);

describe.each([6, 7] as const)('ctx.ai with version %d in the test kit', (version) => {
  const { streamText, stepCountIs, tool } = sdks[version];
  const writer = model('writer', { versions: { v1: { use: localModel() } } });
  const sent: string[] = [];
  const letter = workflow('letter', {}, async (ctx, to) => {
    const draft = await ctx.ai('draft', (ai) => {
      const send = tool({ inputSchema: z.object({ to: z.string() }), execute: (input) => sent.push(input.to) });
      return streamText({
        model: ai.model('writer'),
        tools: ai.tools({ send }),
        stopWhen: stepCountIs(3),
        prompt: `To ${String(to)}`,
      });
    });
    await ctx.sleep('2d');
    return draft.text;
  });
  const app = defineApp({ name: 'letters', workflows: [letter], models: [writer] });
  const asked = () =>
    fakeModel(inTurn({ toolCalls: [{ name: 'send', input: { to: 'ada' }, id: 'c1' }] }, 'It is sent.'));

  it('asks fakes, and waits for real time only where a program is at work', async () => {
    const use = asked();
    await using t = await testSpine(app, { models: { writer: use } });
    const run = await t.start('letter', 'ada');
    expect(await t.result(run)).toBe('It is sent.');
    expect(use.calls).toHaveLength(2);
    const history = await t.exportHistory(run.id);
    // A replay of it asks nobody, and calls no tool.
    sent.length = 0;
    expect(await replayHistory(app, history)).toMatchObject({ verdict: 'same', changes: [] });
    expect(sent).toEqual([]);
  });

  it('pauses as long as a provider asks for, which takes no time', async () => {
    const busy = Object.assign(new Transient('busy'), { retryAfterMs: 3_600_000 });
    const use = fakeModel(inTurn(busy, 'At last.'));
    await using t = await testSpine(app, { models: { writer: use } });
    const run = await t.start('letter', 'ada');
    expect(await t.result(run)).toBe('At last.');
    expect(use.calls).toHaveLength(2);
  });

  it('comes to the same when its body dies at every commit', async () => {
    const use = asked();
    sent.length = 0;
    await using t = await testSpine(app, { models: { writer: use }, crash: 'every-await' });
    const run = await t.start('letter', 'ada');
    expect(await t.result(run)).toBe('It is sent.');
    expect(t.crashes).toBeGreaterThan(4);
    expect(use.paid).toBe(2);
    expect(sent).toEqual(['ada']);
  });

  it('asks the version with the larger window where a prompt is too long, and pays for one answer', async () => {
    const tooLong = Object.assign(new Error('too long'), { code: 'context_length_exceeded', retryable: false });
    const tiny = fakeModel(() => {
      throw tooLong;
    });
    const large = fakeModel('There is room.');
    const windows = model('windows', {
      versions: { tiny: { use: tiny, window: 10 }, large: { use: large, window: 10_000 } },
    });
    const long = workflow('long', {}, async (ctx) => {
      const { text } = await ctx.ai('draft', (ai) => streamText({ model: ai.model('windows'), prompt: 'Much.' }));
      return text;
    });
    const both = defineApp({ workflows: [long], models: [windows] });
    await using t = await testSpine(both, { crash: 'every-await' });
    const run = await t.start('long', null);
    expect(await t.result(run)).toBe('There is room.');
    expect(large.paid).toBe(1);
    const { events } = await t.exportHistory(run.id);
    const taken = events.flatMap((event) => (event.type === 'inference.failed' ? [event.data.remedy] : []));
    expect(taken).toEqual([{ name: 'reroute', version: 'large' }]);
  });

  it('lets a fake take the place of a whole program', async () => {
    await using t = await testSpine(app, { steps: { draft: () => ({ text: 'A draft.' }) } });
    expect(await t.result(await t.start('letter', 'ada'))).toBe('A draft.');
  });
});
