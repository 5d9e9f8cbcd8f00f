/** `eventspine asyncapi`: what an app, or every app of a server, publishes and reacts to, for tools that read AsyncAPI. */
import type { Manifest } from '../../core/manifest.js';
import { asyncApiDocument, type AsyncApiOptions } from '../../protocol/asyncapi.js';
import type { CommandRun, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { findApp, importApp } from '../load-app.js';
import { packageVersion } from '../package-version.js';
import { prettyJson, printValue } from '../report.js';
import { clientFor, serverUrl } from '../server-client.js';

/** Prints the document. */
export const printAsyncApi: CommandRun = async (invocation) => {
  const { words, io } = invocation;
  const file = words.maybe('app');
  const manifests: readonly Manifest[] =
    file === undefined
      ? await clientFor(invocation).definitions()
      : [(await importApp(await findApp(file, io.folder))).manifest];
  const place = file === undefined ? placeOf(invocation) : { basePath: '' };
  const document = asyncApiDocument(manifests, { version: await packageVersion(), ...place });
  printValue(invocation, document, () => prettyJson(document));
  return exitCodes.ok.code;
};

/** Where the server is that was asked. */
function placeOf({ flags, io }: Invocation): Pick<AsyncApiOptions, 'basePath' | 'server'> {
  const { protocol, host, pathname } = new URL(serverUrl(flags.text('url') ?? io.environment.url));
  return { basePath: pathname.replace(/\/$/, ''), server: { protocol: protocol.replace(':', ''), host } };
}
