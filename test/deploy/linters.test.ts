/** Other people's checkers over deploy/ and the metrics, each left out by name where it is not installed. */
import { describe, expect, it } from 'vitest';
import { parsePrometheus } from '../../src/server/prometheus-parser.test.fake.js';
import { nodePorts } from '../../src/runtime/index.js';
import { createEngine } from '../../src/engine/index.js';
import { createServer } from '../../src/server/index.js';
import { memory } from '../../src/store/memory.js';
import { tableNames } from '../docs/markdown.js';
import { describeUnless } from '../skip.js';
import { manifestFiles, read } from './documents.js';
import { missingTool, runTool } from './tools.js';

/** Metrics of a real engine. */
async function scrape(): Promise<string> {
  const engine = createEngine({ store: await memory({ clock: nodePorts.clock }).open(), ports: nodePorts });
  await engine.start();
  try {
    const response = await createServer({ engine }).fetch(new Request('http://127.0.0.1/metrics'));
    return await response.text();
  } finally {
    await engine.stop();
  }
}

describe('metrics of a real engine', () => {
  it('are text of Prometheus, all of them documented', async () => {
    const documented = new Set(tableNames(read('docs/reference/metrics.md')));
    const families = parsePrometheus(await scrape());
    expect(families.size).toBeGreaterThan(3);
    for (const name of families.keys()) expect(documented).toContain(name);
  });
});

describeUnless(missingTool('promtool', ['--version'], 'it is part of Prometheus'), 'promtool', () => {
  it('finds nothing wrong with the metrics', async () => {
    expect(runTool('promtool', ['check', 'metrics'], { input: await scrape() })).toEqual({ code: 0, output: '' });
  });

  it('finds nothing wrong with the alerts of the reference page', () => {
    const [, rules = ''] =
      /Alerts worth having:\n\n```yaml\n([\s\S]*?)```/.exec(read('docs/reference/metrics.md')) ?? [];
    const run = runTool('promtool', ['check', 'rules'], { input: rules });
    expect(run?.output).toContain('SUCCESS');
    expect(run?.code).toBe(0);
  });
});

const objectFiles = manifestFiles.filter((file) => !['kustomization.yaml', 'scaled-object.yaml'].includes(file));

describeUnless(
  missingTool('kubernetes-validate', ['--version'], 'pip install kubernetes-validate brings it, with its schemas'),
  'kubernetes-validate',
  () => {
    it.each(['1.27.0', '1.37.0'])('finds nothing wrong with the manifests for Kubernetes %s', (version) => {
      const files = objectFiles.map((file) => `deploy/kubernetes/${file}`);
      const run = runTool('kubernetes-validate', ['--strict', '--quiet', '-k', version, ...files]);
      expect(run).toEqual({ code: 0, output: '' });
    });
  },
);

describeUnless(
  missingTool('kubectl', ['kustomize', '--help'], 'kubectl renders the kustomization'),
  'kubectl kustomize',
  () => {
    it('renders every object', () => {
      const run = runTool('kubectl', ['kustomize', 'deploy/kubernetes']);
      expect(run?.code, run?.output).toBe(0);
      expect(run?.output).toContain('registry.example.com/eventspine:');
    });
  },
);

describeUnless(
  missingTool('docker', ['compose', 'version'], 'it needs the Compose plug-in, but no daemon'),
  'docker compose config',
  () => {
    const config = (environment: Readonly<Record<string, string | undefined>>) =>
      runTool('docker', ['compose', '-f', 'deploy/docker-compose.yml', 'config', '--quiet'], { environment });

    it('finds nothing wrong, and asks for what is missing', () => {
      expect(config({ EVENTSPINE_TOKEN: 't', POSTGRES_PASSWORD: 'p' })?.code).toBe(0);
      expect(config({ EVENTSPINE_TOKEN: undefined, POSTGRES_PASSWORD: 'p' })?.output).toContain('EVENTSPINE_TOKEN');
    });
  },
);
