/**
 * What the tests of Kafka run on: a Node that its client can run on, and the client. The client wants a later Node than this
 * package, so that neither is a dependency: both come from npm into the cache, and no script of theirs is run.
 *
 *     node scripts/kafka-client.mjs        fetches them where need be, and says where they are
 *
 * Invariant: the Node that is given has told its version.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { npmFolder } from './npm-folder.mjs';

const nodeVersion = '22.23.3';
const clientVersion = '2.12.1';
const nodeMin = [22, 22];

/** `{ node, client, source }`: path of the program, URL of the client's module; or `{ node: null, reason }`. */
export function kafkaClient() {
  try {
    const client = packageOf(`kafka-client-${clientVersion}`, '@platformatic/kafka', clientVersion);
    const node = isNewEnough(process.versions.node) ? process.execPath : secondNode();
    return {
      node,
      client: pathToFileURL(join(client, 'dist', 'index.js')).href,
      source: `@platformatic/kafka ${clientVersion} under Node ${versionOf(node)}`,
    };
  } catch (error) {
    return { node: null, reason: error.message };
  }
}

/** The binary of a later Node, from the npm package of this platform. */
function secondNode() {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const folder = packageOf(`node-${nodeVersion}-${platform}-${process.arch}`, name, nodeVersion);
  return join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
}

function packageOf(cacheName, name, version) {
  return join(npmFolder(cacheName, [`${name}@${version}`]), ...name.split('/'));
}

function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > nodeMin[0] || (major === nodeMin[0] && minor >= nodeMin[1]);
}

function versionOf(node) {
  const { status, stdout } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${node} does not run here`);
  return stdout.trim().slice(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { node, client, source, reason } = kafkaClient();
  console.log(node === null ? `No client for Kafka: ${reason}.` : `${source}\n${node}\n${client}`);
  if (node === null) process.exitCode = 1;
}
