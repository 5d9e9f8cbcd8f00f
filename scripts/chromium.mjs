/**
 * A Chromium for tests of pages: the one of EVENTSPINE_CHROMIUM; else one that is installed; else Debian's, fetched with
 * `apt-get` and unpacked into a cache folder outside of the repository, together with the libraries that this machine
 * lacks. Nothing is installed and no rights are needed. Says which it found, and why there is none where there is none.
 *
 *     node scripts/chromium.mjs            finds or fetches one, prints where it is
 *
 * Invariant: what is in the cache under its final name is complete and was seen to run.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const fetchMsMax = 240_000;
const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Resolves to `{ program, env, source }`, or to `{ program: null, reason }`. */
export function findChromium() {
  const reasons = [];
  for (const find of [given, installed, cached, fetched]) {
    try {
      const found = find();
      if (found !== null) return found;
    } catch (error) {
      reasons.push(error.message);
    }
  }
  return { program: null, reason: reasons.join('; ') };
}

function given() {
  const program = process.env['EVENTSPINE_CHROMIUM'];
  if (program === undefined || program === '') return null;
  return checked({ program, env: {}, source: 'EVENTSPINE_CHROMIUM' });
}

function installed() {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of names) {
      const program = join(folder, name);
      if (existsSync(program)) return checked({ program, env: {}, source: program });
    }
  }
  return null;
}

function cacheFolder() {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'eventspine', `chromium-${process.arch}`);
}

function cached() {
  const folder = cacheFolder();
  return existsSync(folder) ? unpacked(folder) : null;
}

function fetched() {
  if (process.platform !== 'linux' || !existsSync('/usr/bin/apt-get')) {
    throw new Error('no Chromium is installed, and this machine has no apt-get to fetch one with');
  }
  const target = cacheFolder();
  mkdirSync(join(target, '..'), { recursive: true });
  const folder = mkdtempSync(`${target}-`);
  try {
    const archives = join(folder, 'archives');
    mkdirSync(join(archives, 'partial'), { recursive: true });
    download(folder, archives);
    for (const file of readdirSync(archives).filter((name) => name.endsWith('.deb'))) {
      const done = spawnSync('dpkg', ['-x', join(archives, file), join(folder, 'root')], { encoding: 'utf8' });
      if (done.status !== 0) throw new Error(`dpkg could not unpack ${file}`);
    }
    rmSync(archives, { recursive: true });
    unpacked(folder);
    try {
      renameSync(folder, target);
    } catch (error) {
      // Somebody else was quicker.
      if (!existsSync(target)) throw error;
      rmSync(folder, { recursive: true, force: true });
    }
    return unpacked(target);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

/** With the package lists of the machine; where these are empty or old, with lists of our own. */
function download(folder, archives) {
  const own = ['-o', 'Debug::NoLocking=1', '-o', `Dir::Cache::archives=${archives}`];
  const lists = join(folder, 'lists');
  const fetch = (extra) =>
    apt([...own, ...extra, 'install', '-y', '--no-install-recommends', '--download-only', 'chromium']);
  if (fetch([])) return;
  mkdirSync(join(lists, 'partial'), { recursive: true });
  const ownLists = ['-o', `Dir::State::lists=${lists}`];
  if (!apt([...own, ...ownLists, 'update']) || !fetch(ownLists)) {
    throw new Error('apt-get could not fetch the package chromium');
  }
  rmSync(lists, { recursive: true, force: true });
}

function apt(args) {
  return spawnSync('apt-get', ['-q', ...args], { encoding: 'utf8', timeout: fetchMsMax }).status === 0;
}

/** The Chromium in a folder of unpacked packages, with what it needs to find them. */
function unpacked(folder) {
  const root = join(folder, 'root');
  const program = join(root, 'usr', 'lib', 'chromium', 'chromium');
  if (!existsSync(program)) throw new Error(`${folder} holds no Chromium`);
  const env = { LD_LIBRARY_PATH: libraryFolders(join(root, 'usr', 'lib')).join(':') };
  if (!existsSync('/etc/fonts/fonts.conf')) env['FONTCONFIG_FILE'] = ownFonts(folder, root);
  return checked({ program, env, source: "Debian's package, unpacked in the cache" });
}

/** Folders that hold shared libraries; some packages have one of their own. */
function libraryFolders(folder) {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  return [
    ...new Set(entries.filter(({ name }) => /\.so(\.|$)/.test(name)).map((entry) => entry.parentPath ?? entry.path)),
  ];
}

function ownFonts(folder, root) {
  const file = join(folder, 'fonts.conf');
  const text = `<?xml version="1.0"?><fontconfig><dir>${join(root, 'usr', 'share', 'fonts')}</dir><cachedir>${join(folder, 'fonts')}</cachedir></fontconfig>`;
  if (!existsSync(file) || readFileSync(file, 'utf8') !== text) writeFileSync(file, text);
  return file;
}

/** What says its version runs. */
function checked(found) {
  const { status, stdout, stderr } = spawnSync(found.program, ['--version'], {
    env: { ...process.env, ...found.env },
    encoding: 'utf8',
    timeout: 30_000,
  });
  if (status !== 0) throw new Error(`${found.program} does not run: ${(stderr ?? '').trim().split('\n').at(-1)}`);
  return { ...found, source: `${stdout.trim()} (${found.source})` };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = findChromium();
  console.log(found.program === null ? `No Chromium: ${found.reason}.` : `${found.program}\n${found.source}`);
  process.exitCode = found.program === null ? 1 : 0;
}
