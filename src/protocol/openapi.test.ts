import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openApiDocument } from './openapi.js';
import { schemas } from './openapi-schemas.js';
import { pathOf, routes, type Route } from './routes.js';

const document = openApiDocument({ version: '1.2.3', basePath: '/spine' });
const table = Object.entries(routes) as [string, Route][];

describe('the OpenAPI document', () => {
  it('has every route and no other', () => {
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(
        ([method, operation]) => `${method.toUpperCase()} ${path} ${operation.operationId}`,
      ),
    );
    expect(described.sort()).toEqual(table.map(([id, route]) => `${route.method} ${route.path} ${id}`).sort());
  });

  it('refers to schemas that exist, and uses each', () => {
    const text = JSON.stringify(document);
    const referred = new Set([...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name));
    expect(referred).toEqual(new Set(Object.keys(schemas)));
  });

  it('names every parameter of a path, and no parameter twice', () => {
    for (const [path, operations] of Object.entries(document.paths)) {
      const segments = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const { parameters } of Object.values(operations)) {
        expect(parameters.filter((parameter) => parameter['in'] === 'path').map(({ name }) => name)).toEqual(segments);
        const names = parameters.map((parameter) => `${String(parameter['in'])} ${String(parameter['name'])}`);
        expect(new Set(names).size).toBe(names.length);
      }
    }
  });

  it('gives every operation a summary, answers and the problem', () => {
    for (const operations of Object.values(document.paths)) {
      for (const { summary, responses } of Object.values(operations)) {
        expect(summary).not.toBe('');
        expect(responses).toHaveProperty('default');
        expect(Object.keys(responses).length).toBeGreaterThan(1);
      }
    }
  });

  it('names properties that schemas require', () => {
    for (const [name, schema] of Object.entries(schemas) as [string, { required?: string[]; properties?: object }][]) {
      for (const required of schema.required ?? []) expect(schema.properties, name).toHaveProperty(required);
    }
  });

  it('says where it is mounted', () => {
    expect(document.servers).toEqual([{ url: '/spine' }]);
    expect(openApiDocument({ version: '1', basePath: '' }).servers).toEqual([{ url: '/' }]);
  });
});

describe('the route table', () => {
  it('has no two routes for one method and path', () => {
    const keys = table.map(([, route]) => `${route.method} ${route.path}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('fills paths with encoded segments', () => {
    expect(pathOf('readBlob', { tenant: 'a/b', hash: 'ü' })).toBe('/v1/blobs/a%2Fb/%C3%BC');
  });
});

describe('docs/reference/http-api.md', () => {
  it('lists every route with its access, and no others', () => {
    const page = readFileSync(new URL('../../docs/reference/http-api.md', import.meta.url), 'utf8');
    const listed = [...page.matchAll(/^\| `([A-Z]+ \S+)` \| (\w+) \|/gm)].map(
      ([, route, access]) => `${route} ${access}`,
    );
    expect(listed.sort()).toEqual(table.map(([, route]) => `${route.method} ${route.path} ${route.access}`).sort());
  });
});
