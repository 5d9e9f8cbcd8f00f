/**
 * The parsers by which AsyncAPI and OpenAPI documents are judged: those of the specifications' own projects. Only tests want
 * them, so that they are no dependency: they come from npm into the cache.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { npmFolder } from './npm-folder.mjs';

const asyncApi = '@asyncapi/parser';
const openApi = '@apidevtools/swagger-parser';
const versions = { [asyncApi]: '3.6.3', [openApi]: '12.1.0' };

/** `{ asyncApi, openApi, source }`: URLs of the modules; or `{ asyncApi: null, reason }`. */
export function documentParsers() {
  const packages = Object.entries(versions).map(([name, version]) => `${name}@${version}`);
  try {
    const modules = npmFolder(`document-parsers-${Object.values(versions).join('-')}`, packages);
    return {
      asyncApi: pathToFileURL(join(modules, ...asyncApi.split('/'), 'cjs', 'index.js')).href,
      openApi: pathToFileURL(join(modules, ...openApi.split('/'), 'lib', 'index.js')).href,
      source: packages.join(', '),
    };
  } catch (error) {
    return { asyncApi: null, reason: error.message };
  }
}
