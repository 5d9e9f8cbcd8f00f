/** Agents whose worker is killed, with what was paid for them: see `drillAgents`. */
import { agentModels, drillAgents } from '../../process/support/agent-drill.js';
import type { Round } from '../support/round.js';

export async function killedAgents(kills: number): Promise<Round> {
  const { figures, faults } = await drillAgents(kills);
  const counts = Object.fromEntries(
    agentModels.flatMap((model) => Object.entries(figures[model]).map(([what, times]) => [`${model}: ${what}`, times])),
  );
  return {
    faults: { 'worker killed': kills },
    counts,
    violations: faults.map((detail) => ({ property: 'P4', detail })),
  };
}
