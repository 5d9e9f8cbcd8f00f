/** `eventspine cache`: answers of models that are kept to serve again. */
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs, renderTable } from '../table.js';

/** What the tenant keeps. */
export const showCache: CommandRun = async (invocation) => {
  const view = await clientFor(invocation).cache.stats();
  printValue(invocation, view, () => {
    const { answers, answersMax, bytes, bytesMax, oldestAt, models } = view;
    const lines = renderPairs([
      ['answers', `${answers} of ${answersMax}`],
      ['bytes', `${bytes} of ${bytesMax}`],
      ['oldest', oldestAt ?? 'none is kept'],
    ]);
    if (models.length === 0) return lines;
    const rows = models.map((one) => [one.model, one.version, String(one.answers), String(one.bytes)]);
    return [...lines, '', ...renderTable(['MODEL', 'VERSION', 'ANSWERS', 'BYTES'], rows)];
  });
  return exitCodes.ok.code;
};

/** Drops what the tenant keeps. */
export const clearCache: CommandRun = async (invocation) => {
  const model = invocation.flags.text('model');
  const cleared = await clientFor(invocation).cache.clear(model === undefined ? {} : { model });
  printValue(invocation, { cleared }, () => [`${cleared} answers are dropped.`]);
  return exitCodes.ok.code;
};
