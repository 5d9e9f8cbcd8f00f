/** The files under deploy/ as values, for tests. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { root } from './tools.js';

export type Value = Readonly<Record<string, unknown>>;

export interface KubernetesObject {
  readonly file: string;
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly value: Value;
}

export const read = (path: string): string => readFileSync(join(root, path), 'utf8');

export const manifestFiles: readonly string[] = readdirSync(join(root, 'deploy/kubernetes')).filter((file) =>
  file.endsWith('.yaml'),
);

/** Every object of deploy/kubernetes but the kustomization. */
export const objects: readonly KubernetesObject[] = manifestFiles
  .filter((file) => file !== 'kustomization.yaml')
  .flatMap((file) =>
    parseAllDocuments(read(`deploy/kubernetes/${file}`)).map((document) => {
      if (document.errors.length > 0) throw new Error(`${file}: ${document.errors.map(String).join('; ')}`);
      const value = document.toJS() as Value;
      return {
        file,
        apiVersion: String(value['apiVersion']),
        kind: String(value['kind']),
        name: String(at(value, 'metadata', 'name')),
        value,
      };
    }),
  );

export const kustomization = parse(read('deploy/kubernetes/kustomization.yaml')) as Value;
export const compose = parse(read('deploy/docker-compose.yml'), { merge: true }) as Value;

/** What stands at a path of keys; undefined where there is nothing. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? (inner as Value)[key] : undefined),
    value,
  );
}

/** The object of a kind and name. */
export function object(kind: string, name: string): Value {
  const found = objects.find((one) => one.kind === kind && one.name === name);
  if (found === undefined) throw new Error(`deploy/kubernetes has no ${kind} ${name}`);
  return found.value;
}

export interface DockerInstruction {
  readonly name: string;
  readonly rest: string;
}

/** The instructions of a Dockerfile, continued lines joined. */
export function dockerfile(path: string): DockerInstruction[] {
  return read(path)
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
      if (name === '') throw new Error(`${path}: no instruction: ${line}`);
      return { name, rest };
    });
}
