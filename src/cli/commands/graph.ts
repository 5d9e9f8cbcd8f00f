/** `eventspine graph`: the graph of a workflow, as JSON or as text to be drawn. */
import { mermaidOf } from '../../core/graph/drawing.js';
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { prettyJson, printValue } from '../report.js';
import { clientFor } from '../server-client.js';

/** Prints it as the server has it now. */
export const showGraph: CommandRun = async (invocation) => {
  const view = await clientFor(invocation).graph(invocation.words.one('workflow'));
  const isDrawn = invocation.flags.truth('mermaid');
  printValue(invocation, view, () => (isDrawn ? mermaidOf(view.graph).split('\n') : prettyJson(view)));
  return exitCodes.ok.code;
};
