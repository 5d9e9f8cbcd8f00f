/**
 * The projects that `eventspine init` can make. Their files are under `templates/` in the package, where the tests of this
 * repository run them too; what all have in common is in `templates/shared/`.
 */

/** A project to begin with. */
export interface Template {
  readonly name: string;
  /** One sentence. */
  readonly says: string;
  /** The program in development, and what is built. */
  readonly scripts: { readonly dev: string; readonly start: string };
  /** What to do once `npm run dev` is running. */
  readonly tryIt: string;
}

/** The first is the default. */
export const templates: readonly Template[] = [
  {
    name: 'minimal',
    says: 'One workflow with steps and days of waiting.',
    scripts: { dev: 'eventspine dev src/spine.ts', start: 'eventspine start dist/spine.js' },
    tryIt: `npx eventspine run read-later '{"url":"https://example.org/","remindAfterDays":0}' --wait`,
  },
  {
    name: 'rag-with-approval',
    says: 'Answers from documents, read and changed by a person before they are published.',
    scripts: { dev: 'eventspine dev src/spine.ts', start: 'eventspine start dist/spine.js' },
    tryIt: `npx eventspine run answer '{"question":"When do domes leak?"}'`,
  },
  {
    name: 'migrate-a-route',
    says: 'A route that streams the answer of a model, made to survive reload, redeploy and SIGKILL.',
    scripts: { dev: 'node --import tsx --watch src/server.ts', start: 'node dist/server.js' },
    tryIt: `curl -iN http://127.0.0.1:3000/chat -d '{"prompt":"Do domes leak?"}'`,
  },
];

/** What a project needs beside Eventspine itself. A test compares it with what this repository is tested with. */
export const needs = {
  dependencies: { zod: '^4.6.7' },
  // The last TypeScript whose API linters can use; the code compiles with newer ones as well.
  devDependencies: { '@types/node': '^22', tsx: '^4.23.15', typescript: '~5.9.3' },
} as const;

/** The package.json of a project. */
export function manifestOf(template: Template, name: string, version: string): string {
  const manifest = {
    name,
    version: '0.0.0',
    private: true,
    type: 'module',
    engines: { node: '>=20.19' },
    scripts: {
      dev: template.scripts.dev,
      test: 'node --import tsx --test src/*.test.ts',
      typecheck: 'tsc --noEmit',
      build: 'tsc',
      start: template.scripts.start,
    },
    dependencies: { eventspine: `^${version}`, ...needs.dependencies },
    devDependencies: needs.devDependencies,
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** A name that npm takes, made of the name of a folder. */
export function packageNameOf(folder: string): string {
  const name = folder
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[._-]+|-+$/g, '');
  return name === '' ? 'app' : name.slice(0, 200);
}
