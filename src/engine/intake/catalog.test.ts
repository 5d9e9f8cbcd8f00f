import { describe, expect, it } from 'vitest';
import type { Manifest } from '../../core/manifest.js';
import { Catalog } from './catalog.js';

const retry = { attempts: 1, minMs: 0, maxMs: 0, factor: 1 };
const workflow = {
  name: 'w',
  version: null,
  previous: [],
  input: null,
  on: null,
  completes: null,
  priority: 5,
  timeoutMs: null,
  retainMs: null,
  deadlineMs: 1000,
  retry,
};
const capability = { name: 'c', input: null, output: null, effect: 'pure', deadlineMs: 1, retry, implemented: true };
const topic = { name: 't', schema: null, key: null, partitions: 1 };
const good = { format: 1, app: 'a', topics: [topic], workflows: [workflow], capabilities: [capability] };

const node = (name: string, ...after: string[]): unknown => ({ name, capability: 'c', after });
const graph = { nodes: [node('b', 'a'), node('a')] };

function set(manifest: unknown): Catalog {
  const catalog = new Catalog();
  catalog.set(manifest as Manifest, 'hash');
  return catalog;
}

describe('a manifest from outside', () => {
  it('is taken where everything in it is what it should be', () => {
    expect(set(good).workflowNames()).toEqual(['w']);
    expect(set({ ...good, workflows: [{ ...workflow, graph }] }).workflowNames()).toEqual(['w']);
  });

  it.each([
    ['not an object', null],
    ['empty', {}],
    ['of another format', { ...good, format: 2 }],
    ['without a list', { ...good, topics: null }],
    ['with a hole in a list', { ...good, workflows: [null] }],
    ['with a name that no store takes', { ...good, workflows: [{ ...workflow, name: 'a\0' }] }],
    ['with one name twice', { ...good, topics: [topic, topic] }],
    ['with a workflow without retries', { ...good, workflows: [{ ...workflow, retry: null }] }],
    ['with a deadline in words', { ...good, workflows: [{ ...workflow, deadlineMs: '5s' }] }],
    ['with a timeout beyond all dates', { ...good, workflows: [{ ...workflow, timeoutMs: 1e15 }] }],
    ['with a priority out of range', { ...good, workflows: [{ ...workflow, priority: 10 }] }],
    ['with versions that are no list', { ...good, workflows: [{ ...workflow, previous: 5 }] }],
    ['with a key that is no path', { ...good, topics: [{ ...topic, key: 5 }] }],
    ['with too many partitions', { ...good, topics: [{ ...topic, partitions: 5000 }] }],
    ['with an unknown effect', { ...good, capabilities: [{ ...capability, effect: 'maybe' }] }],
    ['with a schema that is none', { ...good, workflows: [{ ...workflow, input: { type: 'bogus' } }] }],
    ['with a graph that is none', { ...good, workflows: [{ ...workflow, graph: { nodes: [{ name: 'a' }] } }] }],
    ['with a circle', { ...good, workflows: [{ ...workflow, graph: { nodes: [node('a', 'b'), node('b', 'a')] } }] }],
    ['whose graph calls what it does not name', { ...good, capabilities: [], workflows: [{ ...workflow, graph }] }],
  ])('is refused when it is one %s', (_, manifest) => {
    expect(() => set(manifest)).toThrow(expect.objectContaining({ code: 'DEFINITION_INVALID' }));
  });

  it('that is refused leaves the one before in place', () => {
    const catalog = set(good);
    const bad = { ...good, workflows: [{ ...workflow, name: 'v', input: { type: 'bogus' } }] };
    expect(() => catalog.set(bad as unknown as Manifest, 'other')).toThrow();
    expect(catalog.workflowNames()).toEqual(['w']);
    expect(catalog.hashOf('a')).toBe('hash');
  });

  it('may give its schemas the ids that others gave to different ones', () => {
    const catalog = set({ ...good, workflows: [{ ...workflow, input: { $id: 'urn:example:input', type: 'string' } }] });
    const other = {
      ...good,
      app: 'b',
      workflows: [{ ...workflow, name: 'v', input: { $id: 'urn:example:input', type: 'number' } }],
    };
    catalog.set(other as unknown as Manifest, 'other');
    expect(catalog.workflow('w')?.check?.('x')).toEqual([]);
    expect(catalog.workflow('v')?.check?.('x')).not.toEqual([]);
  });
});
