/**
 * The OpenAPI 3.1 document of the API, made from the route table and the schemas. Served at /openapi.json; a test
 * compares it with the table in both directions.
 */
import type { JsonSchema } from '../core/manifest.js';
import { schemas, type SchemaName } from './openapi-schemas.js';
import { problemAnswer, routes, type Route, type RouteAnswer, type RouteId, type RouteParameter } from './routes.js';

export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly info: Readonly<Record<string, unknown>>;
  readonly servers: readonly { readonly url: string }[];
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  /** Path -> method in lower case -> operation. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters: readonly Readonly<Record<string, unknown>>[];
  readonly requestBody?: Readonly<Record<string, unknown>>;
  readonly responses: Readonly<Record<string, unknown>>;
}

/**
 * Makes the document.
 *
 * @param options.version Version of the server.
 * @param options.basePath Path under which the API is mounted; "" = the root.
 */
export function openApiDocument(options: { readonly version: string; readonly basePath: string }): OpenApiDocument {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const [id, route] of Object.entries(routes) as [RouteId, Route][]) {
    const operations = (paths[route.path] ??= {});
    operations[route.method.toLowerCase()] = operationOf(id, route);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Eventspine',
      version: options.version,
      summary: 'Durable runs, events and live progress over HTTP.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: options.basePath === '' ? '/' : options.basePath }],
    // How callers prove who they are is up to the `authorize` function of the installation.
    security: [{}],
    paths,
    components: { schemas },
  };
}

function operationOf(id: RouteId, route: Route): Operation {
  return {
    operationId: id,
    summary: route.says,
    parameters: [
      ...[...route.path.matchAll(/\{(\w+)\}/g)].map((match) => pathParameter(match[1] ?? '')),
      ...route.query.map((parameter) => parameterOf(parameter, 'query')),
      ...route.headers.map((parameter) => parameterOf(parameter, 'header')),
    ],
    ...(route.body === null
      ? {}
      : {
          requestBody: {
            description: route.body.says,
            required: route.body.required,
            content: Object.fromEntries(
              Object.entries(route.body.types).map(([type, schema]) => [type, { schema: schemaOf(schema) }]),
            ),
          },
        }),
    responses: {
      ...Object.fromEntries(route.answers.map((answer) => [String(answer.status), responseOf(answer)])),
      default: responseOf(problemAnswer),
    },
  };
}

function pathParameter(name: string): Readonly<Record<string, unknown>> {
  return { name, in: 'path', required: true, schema: { type: 'string' } };
}

function parameterOf(parameter: RouteParameter, place: 'query' | 'header'): Readonly<Record<string, unknown>> {
  const one = {
    type: parameter.type,
    ...(parameter.oneOf === undefined ? {} : { enum: parameter.oneOf }),
  };
  return {
    name: parameter.name,
    in: place,
    description: parameter.says,
    required: false,
    schema: parameter.repeated === true ? { type: 'array', items: one } : one,
  };
}

function responseOf(answer: RouteAnswer): Readonly<Record<string, unknown>> {
  return {
    description: answer.says,
    ...(answer.type === null ? {} : { content: { [answer.type]: { schema: schemaOf(answer.schema) } } }),
  };
}

function schemaOf(name: SchemaName | null): JsonSchema {
  return name === null ? {} : { $ref: `#/components/schemas/${name}` };
}
