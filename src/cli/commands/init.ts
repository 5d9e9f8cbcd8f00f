/** `eventspine init`: a new project in an empty folder. */
import { relative, resolve } from 'node:path';
import { SpineError } from '../../core/errors.js';
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { projectFiles, writeProject } from '../init/project-files.js';
import { templates, type Template } from '../init/templates.js';
import { packageVersion } from '../package-version.js';
import { printValue } from '../report.js';
import { nearest } from '../suggest.js';

/** Makes the files, installs nothing, and says what to do next. */
export const init: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const template = templateCalled(flags.text('template'));
  const folder = resolve(io.folder, words.maybe('folder') ?? '.');
  const files = await projectFiles(template, folder, await packageVersion());
  await writeProject(folder, files);
  const names = [...files.keys()].sort();
  printValue(invocation, { folder, template: template.name, files: names }, () => {
    const shown = relative(io.folder, folder);
    return [
      ...names.map((name) => `  ${name}`),
      '',
      'Next:',
      ...(shown === '' ? [] : [`  cd ${shown}`]),
      '  npm install',
      '  npm test',
      '  npm run dev',
      `  ${template.tryIt}`,
    ];
  });
  return exitCodes.ok.code;
};

function templateCalled(name: string | undefined): Template {
  const found = name === undefined ? templates[0] : templates.find((template) => template.name === name);
  if (found !== undefined) return found;
  const names = templates.map((template) => template.name);
  const meant = nearest(name ?? '', names);
  const hint = meant === null ? `There are ${names.join(', ')}.` : `Did you mean "${meant}"?`;
  throw new SpineError('COMMAND_INVALID', { reason: `There is no template "${name}". ${hint}` });
}
