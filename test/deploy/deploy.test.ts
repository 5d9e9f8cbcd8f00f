/**
 * The files under deploy/ against the program that they deploy: commands, routes, names and times fit each other. What
 * needs a cluster or a Docker daemon is not tested here.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createServer } from 'eventspine/server';
import { describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands.js';
import { environmentVariables } from '../../src/cli/environment.js';
import { parseCommandLine } from '../../src/cli/parse.js';
import { parseDuration, type Duration } from '../../src/core/duration.js';
import type { Engine } from '../../src/engine/api.js';
import { routes, type Route } from '../../src/protocol/routes.js';
import {
  at,
  compose,
  dockerfile,
  kustomization,
  manifestFiles,
  object,
  objects,
  read,
  type Value,
} from './documents.js';
import { root } from './tools.js';

/** The command line of `args` as the program itself would parse it. */
function parsed(args: unknown) {
  const words = args as string[];
  const result = parseCommandLine(words, commands);
  if (result.tag !== 'run') throw new Error(`no command: ${words.join(' ')}`);
  return result;
}

/** The route that a path with its query is for; throws where there is none or it has no such parameter. */
function routeOf(pathAndQuery: string): Route {
  const url = new URL(pathAndQuery, 'http://h');
  const found = (Object.values(routes) as Route[]).find(
    ({ method, path }) => method === 'GET' && path === url.pathname,
  );
  if (found === undefined) throw new Error(`no route ${url.pathname}`);
  for (const name of url.searchParams.keys()) {
    if (!found.query.some((parameter) => parameter.name === name)) throw new Error(`${url.pathname} has no ${name}`);
  }
  return found;
}

/** Seconds of a duration of Compose. */
const seconds = (text: unknown): number => parseDuration(String(text) as Duration) / 1_000;

describe('the image', () => {
  const instructions = dockerfile('deploy/Dockerfile');
  const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
  const manifest = JSON.parse(read('package.json')) as { bin: { eventspine: string }; files: string[]; engines: Value };
  const json = (name: string): string[] => JSON.parse(last.find((one) => one.name === name)?.rest ?? '[]') as string[];

  it('is built in stages, each of which copies from one before', () => {
    const stages: string[] = [];
    for (const { name, rest } of instructions) {
      const from = /--from=(\S+)/.exec(rest)?.[1];
      if (name === 'COPY' && from !== undefined) expect(stages).toContain(from);
      if (name === 'FROM') stages.push(/ AS (\S+)/.exec(rest)?.[1] ?? '');
    }
    expect(stages.length).toBeGreaterThan(2);
    expect(instructions.some(({ name, rest }) => name === 'RUN' && rest.includes('npm pack'))).toBe(true);
  });

  it('runs as nobody in particular, named by number', () => {
    const [uid] = (last.find(({ name }) => name === 'USER')?.rest ?? '').split(':');
    expect(Number(uid)).toBeGreaterThan(0);
  });

  it('starts the program that npm pack ships', () => {
    const entry = json('ENTRYPOINT');
    expect(entry[0]).toBe('node');
    expect(entry[1]).toBe(`/app/node_modules/eventspine/${manifest.bin.eventspine.replace(/^\.\//, '')}`);
    expect(manifest.files).toContain('dist');
    const { command, flags } = parsed(json('CMD'));
    expect([command.words, flags.text('host'), flags.number('port')]).toEqual([['serve'], '0.0.0.0', 8787]);
  });

  it('asks a public route for its health', () => {
    const check = last.find(({ name }) => name === 'HEALTHCHECK')?.rest ?? '';
    const url = /http:\/\/127\.0\.0\.1:8787(\/[^']*)'/.exec(check)?.[1] ?? '';
    expect(routeOf(url).access).toBe('public');
  });

  it('leaves out of its context nothing that the build reads', () => {
    const ignored = read('deploy/Dockerfile.dockerignore').split('\n');
    for (const needed of [
      'src',
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'tsconfig.build.json',
      'README.md',
    ]) {
      expect(existsSync(join(root, needed))).toBe(true);
      expect(ignored).not.toContain(needed);
    }
    expect(ignored).toContain('**/node_modules');
  });

  it('of workers runs the worker of an app that is there', () => {
    const worker = dockerfile('deploy/worker.Dockerfile');
    const cmd = JSON.parse(worker.find(({ name }) => name === 'CMD')?.rest ?? '[]') as string[];
    expect(parsed(cmd).command.words).toEqual(['worker']);
    expect(existsSync(join(root, (cmd[1] ?? '').replace('/app/app/', 'deploy/app/')))).toBe(true);
  });
});

describe('docker-compose.yml', () => {
  const services = at(compose, 'services') as Readonly<Record<string, Value>>;

  it.each(['server', 'worker'])('%s has a command line and variables that exist', (name) => {
    const service = services[name];
    expect(parsed(at(service, 'command')).command.words).toEqual([name === 'server' ? 'serve' : 'worker']);
    for (const variable of Object.keys(at(service, 'environment') as object)) {
      expect(Object.keys(environmentVariables)).toContain(variable);
    }
  });

  it('has no secret in it, and refuses to start without one', () => {
    const text = read('deploy/docker-compose.yml').replace(/^#.*$/gm, '');
    for (const [, value] of text.matchAll(/(?:PASSWORD|TOKEN): (.*)$/gm)) expect(value).toMatch(/^\$\{\w+:\?.*\}$/);
    expect(text).toMatch(/EVENTSPINE_TOKEN: \$\{EVENTSPINE_TOKEN:\?/);
  });

  it('starts in order: database, servers, workers', () => {
    expect(at(services['server'], 'depends_on', 'postgres', 'condition')).toBe('service_healthy');
    expect(at(services['worker'], 'depends_on', 'server', 'condition')).toBe('service_healthy');
    expect(at(services['postgres'], 'healthcheck', 'test')).toContain('pg_isready');
    const [, url = ''] =
      /127\.0\.0\.1:8787(\/[^']*)'/.exec(JSON.stringify(at(services['server'], 'healthcheck', 'test'))) ?? [];
    expect([routeOf(url).access, url]).toEqual(['public', '/health/ready?for=intake']);
  });

  it('gives workers longer than a drain takes before it kills them', () => {
    const drain = parsed(at(services['worker'], 'command')).flags.text('drain') ?? '30s';
    expect(seconds(at(services['worker'], 'stop_grace_period'))).toBeGreaterThan(seconds(drain));
  });

  it('publishes on this machine only, and has as many ports as servers need', () => {
    expect(at(services['server'], 'ports', 0)).toMatch(/^127\.0\.0\.1:(\d+)-(\d+):8787$/);
    expect(at(services['postgres'], 'ports')).toBeUndefined();
  });

  it.each(['server', 'worker'])('%s has no more rights than it needs', (name) => {
    const service = services[name];
    expect(at(service, 'privileged')).toBeUndefined();
    expect([at(service, 'read_only'), at(service, 'cap_drop'), at(service, 'init')]).toEqual([true, ['ALL'], true]);
  });
});

describe('the manifests of Kubernetes', () => {
  const deployments = objects.filter(({ kind }) => kind === 'Deployment');
  const container = (name: string): Value =>
    at(object('Deployment', name), 'spec', 'template', 'spec', 'containers', 0) as Value;
  const labelsOf = (deployment: Value): Value => at(deployment, 'spec', 'template', 'metadata', 'labels') as Value;
  const selects = (selector: unknown, labels: Value): boolean =>
    Object.entries((at(selector, 'matchLabels') ?? selector) as Value).every(([name, value]) => labels[name] === value);

  it('are all applied, each once', () => {
    expect([...(kustomization['resources'] as string[])].sort()).toEqual(
      manifestFiles.filter((file) => file !== 'kustomization.yaml').sort(),
    );
    const names = objects.map(({ kind, name }) => `${kind}/${name}`);
    expect(new Set(names).size).toBe(names.length);
    expect(objects.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`).sort()).toEqual(
      [
        'apps/v1 Deployment',
        'apps/v1 Deployment',
        'keda.sh/v1alpha1 ScaledObject',
        'keda.sh/v1alpha1 TriggerAuthentication',
        'networking.k8s.io/v1 NetworkPolicy',
        'networking.k8s.io/v1 NetworkPolicy',
        'policy/v1 PodDisruptionBudget',
        'policy/v1 PodDisruptionBudget',
        'v1 Service',
        'v1 ServiceAccount',
        'v1 ServiceAccount',
      ].sort(),
    );
  });

  it.each(deployments)('$name runs a command that exists, with variables that exist', ({ name }) => {
    const { command } = parsed(at(container(name), 'args'));
    expect(command.words).toEqual([name === 'eventspine-server' ? 'serve' : 'worker']);
    for (const variable of at(container(name), 'env') as Value[]) {
      expect(Object.keys(environmentVariables)).toContain(variable['name']);
    }
    const images = (kustomization['images'] as Value[]).map((image) => image['name']);
    expect(images).toContain(at(container(name), 'image'));
  });

  it.each(deployments)('$name selects its own pods, and is covered by a budget and a policy', ({ value }) => {
    const labels = labelsOf(value);
    expect(selects(at(value, 'spec', 'selector'), labels)).toBe(true);
    for (const [kind, path] of [
      ['PodDisruptionBudget', 'selector'],
      ['NetworkPolicy', 'podSelector'],
    ] as const) {
      expect(objects.filter((one) => one.kind === kind && selects(at(one.value, 'spec', path), labels))).toHaveLength(
        1,
      );
    }
    const account = String(at(value, 'spec', 'template', 'spec', 'serviceAccountName'));
    expect(object('ServiceAccount', account)['automountServiceAccountToken']).toBe(false);
  });

  it.each(deployments)(
    '$name is not root, writes nowhere but to its scratch folder and gains no rights',
    ({ value, name }) => {
      const pod = at(value, 'spec', 'template', 'spec');
      expect(at(pod, 'securityContext', 'runAsNonRoot')).toBe(true);
      expect(at(pod, 'securityContext', 'seccompProfile', 'type')).toBe('RuntimeDefault');
      expect(at(container(name), 'securityContext')).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(at(container(name), 'resources', 'limits', 'memory')).toBeTypeOf('string');
    },
  );

  it('takes secrets from one Secret, whose keys the kustomization tells how to make', () => {
    const references = deployments.flatMap(({ name }) =>
      (at(container(name), 'env') as Value[]).map((variable) => at(variable, 'valueFrom', 'secretKeyRef') as Value),
    );
    expect(references.length).toBeGreaterThan(2);
    for (const reference of references) {
      expect(reference['name']).toBe('eventspine');
      expect(read('deploy/kubernetes/kustomization.yaml')).toContain(`--from-literal=${String(reference['key'])}=`);
    }
    // Workers never touch the store.
    expect(JSON.stringify(container('eventspine-worker'))).not.toContain('database-url');
  });

  it('probes public routes, and readiness does not ask whether there are workers', () => {
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
      expect(routeOf(String(at(container('eventspine-server'), probe, 'httpGet', 'path'))).access).toBe('public');
      expect(at(container('eventspine-server'), probe, 'httpGet', 'port')).toBe('http');
    }
    expect(at(container('eventspine-server'), 'readinessProbe', 'httpGet', 'path')).toBe('/health/ready?for=intake');
  });

  it('gives both time to end: servers to be forgotten first, workers to drain', () => {
    const grace = (name: string): number =>
      Number(at(object('Deployment', name), 'spec', 'template', 'spec', 'terminationGracePeriodSeconds'));
    const [sleep, pause] = at(container('eventspine-server'), 'lifecycle', 'preStop', 'exec', 'command') as string[];
    expect(sleep).toBe('sleep');
    // Answers under way may take 10 s, and a drain of a worker in the same process does not happen here.
    expect(grace('eventspine-server')).toBeGreaterThan(Number(pause) + 10 + 30);
    const drain = parsed(at(container('eventspine-worker'), 'args')).flags.text('drain') ?? '30s';
    expect(grace('eventspine-worker')).toBeGreaterThan(seconds(drain));
  });

  it('leads workers to the service, and the service to a port of the servers', () => {
    const service = object('Service', 'eventspine');
    expect(selects(at(service, 'spec', 'selector'), labelsOf(object('Deployment', 'eventspine-server')))).toBe(true);
    const url = new URL(parsed(at(container('eventspine-worker'), 'args')).flags.text('url') ?? '');
    expect([url.hostname, Number(url.port)]).toEqual(['eventspine', at(service, 'spec', 'ports', 0, 'port')]);
    const { flags } = parsed(at(container('eventspine-server'), 'args'));
    expect(at(container('eventspine-server'), 'ports', 0)).toEqual({
      name: 'http',
      containerPort: flags.number('port'),
    });
  });

  describe('for KEDA', () => {
    const spec = at(object('ScaledObject', 'eventspine-worker'), 'spec');
    const trigger = at(spec, 'triggers', 0);
    const metadata = at(trigger, 'metadata') as Readonly<Record<string, string>>;
    const url = new URL(metadata['url'] ?? '');

    it('scale the workers, with the bounds and the token that the server is asked with', () => {
      expect(object('Deployment', String(at(spec, 'scaleTargetRef', 'name')))).toBeTruthy();
      // Two that say how many there are would fight.
      expect(at(object('Deployment', 'eventspine-worker'), 'spec', 'replicas')).toBeUndefined();
      expect(Number(url.searchParams.get('min'))).toBe(at(spec, 'minReplicaCount'));
      expect(Number(url.searchParams.get('max'))).toBe(at(spec, 'maxReplicaCount'));
      const authentication = object('TriggerAuthentication', String(at(trigger, 'authenticationRef', 'name')));
      expect(at(authentication, 'spec', 'secretTargetRef', 0)).toEqual({
        parameter: 'token',
        name: 'eventspine',
        key: 'token',
      });
      expect(metadata['authMode']).toBe('bearer');
      expect(url.hostname).toBe(`eventspine.${String(kustomization['namespace'])}.svc.cluster.local`);
      expect(read('deploy/app/app.mjs')).toContain(`name: '${url.searchParams.get('app')}'`);
    });

    it('read a number of the answer of a real server', async () => {
      const queue = {
        queue: 'workflow:greet',
        ready: 55,
        delayed: 0,
        held: 0,
        leased: 6,
        lagMs: 1,
        workers: 0,
        slots: 0,
      };
      const manifest = {
        app: 'greeter',
        topics: [],
        workflows: [{ name: 'greet', version: null, previous: [] }],
        capabilities: [],
      };
      const engine = {
        queues: () => Promise.resolve([queue]),
        workers: () => Promise.resolve([]),
        definitions: () => [manifest],
      } as unknown as Engine;
      const server = createServer({
        engine,
        webhooks: { deliver: false },
        audit: false,
        authorize: ({ headers }) =>
          headers.get('authorization') === 'Bearer t' ? { tenant: 't', user: 'keda', roles: ['operator'] } : null,
      });
      expect(metadata['format']).toBe('json');
      const response = await server.fetch(new Request(url, { headers: { authorization: 'Bearer t' } }));
      expect(response.status).toBe(200);
      const answer = (await response.json()) as Value;
      expect(answer[metadata['valueLocation'] ?? '']).toBe(4);
      expect(metadata['targetValue']).toBe('1');
      expect((await server.fetch(new Request(url))).status).toBe(401);
    });
  });
});
