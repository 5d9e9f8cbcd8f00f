/**
 * Somebody else's app: a fixture copied to a fresh folder, with the package as it would be published beside it. Nothing
 * of this repository is reachable from there, so what works there works for users.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Finished, finished, type FinishOptions, succeeded } from '../support/finished.js';
import { Child, root } from '../support/processes.js';

/** Why apps cannot be installed here; null = they can. Asks once, briefly. */
export async function missingRegistry(): Promise<string | null> {
  const asked = ['view', 'hono', 'version', '--fetch-retries=0', '--fetch-timeout=15000'];
  try {
    const { code } = await finished('npm', asked, { environment: cleanEnvironment(), ms: 40_000 });
    return code === 0 ? null : 'the npm registry cannot be reached, so no fresh app can be installed';
  } catch {
    return 'the npm registry does not answer, so no fresh app can be installed';
  }
}

/** One app in a folder of its own. */
export class FreshApp {
  /** Holds `eventspine.tgz` and the app. */
  readonly place: string;
  /** The app. */
  readonly folder: string;
  readonly #environment = cleanEnvironment();

  private constructor(name: string) {
    this.place = mkdtempSync(join(tmpdir(), `eventspine-${name}-`));
    this.folder = join(this.place, 'app');
  }

  /** Copies `fixtures/<name>` and packs the package, which must be built. Installs nothing. */
  static async make(fixture: string): Promise<FreshApp> {
    const app = new FreshApp(fixture);
    cpSync(fileURLToPath(new URL(`fixtures/${fixture}`, import.meta.url)), app.folder, { recursive: true });
    await app.#pack();
    return app;
  }

  /**
   * Has the packed package make a project, as `npx eventspine init` does, and depend on that package. With `like`, the
   * package that is installed there makes it, and what is installed there serves both: the templates need the same.
   */
  static async fromTemplate(template: string, like?: FreshApp): Promise<FreshApp> {
    const app = new FreshApp(template);
    const words = ['eventspine', 'init', 'app', '--template', template];
    const here = { folder: app.place, environment: app.#environment, ms: 120_000 };
    if (like === undefined) {
      await app.#pack();
      await succeeded('npm', ['exec', '--yes', '--prefer-offline', '--package=./eventspine.tgz', '--', ...words], here);
    } else {
      const program = join(like.folder, 'node_modules', 'eventspine', 'dist', 'cli', 'main.js');
      await succeeded(process.execPath, [program, ...words.slice(1)], here);
      symlinkSync(join(like.folder, 'node_modules'), join(app.folder, 'node_modules'));
    }
    const file = join(app.folder, 'package.json');
    const manifest = readFileSync(file, 'utf8');
    const released = /"eventspine": "\^[^"]+"/;
    if (!released.test(manifest)) throw new Error(`The project does not depend on the package: ${manifest}`);
    writeFileSync(file, manifest.replace(released, '"eventspine": "file:../eventspine.tgz"'));
    return app;
  }

  async #pack(): Promise<void> {
    const packed = await succeeded(
      'npm',
      ['pack', '--ignore-scripts', '--json', '--silent', '--pack-destination', this.place],
      { folder: root, environment: this.#environment },
    );
    const file = /"filename":\s*"([^"]+)"/.exec(packed.stdout)?.[1];
    if (file === undefined) throw new Error(`npm pack said ${packed.stdout}`);
    cpSync(join(this.place, file), join(this.place, 'eventspine.tgz'));
  }

  /** Installs with npm. Scripts of packages do not run: everything must work as it lies in the packages. */
  async install(): Promise<void> {
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
    await this.succeeds('npm', ['install', ...flags], { ms: 120_000 });
  }

  /** Runs a command in the app's folder to its end. */
  run(command: string, args: readonly string[], options: FinishOptions = {}): Promise<Finished> {
    return finished(command, args, this.#here(options));
  }

  /** Runs a command in the app's folder; rejects with what it said unless it ends with 0. */
  succeeds(command: string, args: readonly string[], options: FinishOptions = {}): Promise<Finished> {
    return succeeded(command, args, this.#here(options));
  }

  /** Starts `node` with a program that goes on. */
  node(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Child {
    return new Child(process.execPath, args, { ...this.#environment, ...environment }, this.folder);
  }

  remove(): void {
    rmSync(this.place, { recursive: true, force: true });
  }

  #here(options: FinishOptions): FinishOptions {
    return { folder: this.folder, ...options, environment: { ...this.#environment, ...options.environment } };
  }
}

/** Takes away what `npm test` and the test runner have put into the environment: a user's shell has none of it. */
function cleanEnvironment(): Readonly<Record<string, undefined>> {
  const ours =
    /^(?:npm_package_|npm_lifecycle_|npm_config_local_prefix$|INIT_CWD$|NODE_ENV$|NODE_OPTIONS$|VITEST|TEST$)/;
  return Object.fromEntries(
    Object.keys(process.env)
      .filter((name) => ours.test(name))
      .map((name) => [name, undefined]),
  );
}
