/** Agents of the AI SDK, both versions, whose worker is killed: a sample of what `test/campaign` does in the numbers of a night. */
import { afterEach, describe, expect, it } from 'vitest';
import { agentModels, drillAgents } from './support/agent-drill.js';
import { endAll } from './support/processes.js';

afterEach(endAll);

describe('agents whose worker is killed', () => {
  it('pay for each answer once, or by the policy that they declare, and do nothing outside twice', async () => {
    const { figures, faults } = await drillAgents(3);
    console.log(JSON.stringify(figures));
    expect(faults).toEqual([]);
    for (const model of agentModels) expect(figures[model].answers, model).toBe(figures[model].runs * 3);
    expect(figures.keyed.paid).toBe(figures.keyed.answers);
  });
});
