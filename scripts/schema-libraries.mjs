/**
 * Libraries of schemas beside zod, which tests hold topics against. Only tests want them, so that they are no dependency: they
 * come from npm into the cache.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { npmFolder } from './npm-folder.mjs';

const packages = ['valibot@1.5.0', '@valibot/to-json-schema@1.8.0', 'arktype@2.2.9', 'typebox@1.4.3'];

/** `{ valibot, valibotJson, arktype, typebox }`: URLs of the modules; or `{ valibot: null, reason }`. */
export function schemaLibraries() {
  try {
    const modules = npmFolder(`schema-libraries-${packages.join('-').replace(/[^a-z0-9.-]/g, '_')}`, packages);
    const url = (...path) => pathToFileURL(join(modules, ...path)).href;
    return {
      valibot: url('valibot', 'dist', 'index.mjs'),
      valibotJson: url('@valibot', 'to-json-schema', 'dist', 'index.mjs'),
      arktype: url('arktype', 'out', 'index.js'),
      typebox: url('typebox', 'build', 'index.mjs'),
    };
  } catch (error) {
    return { valibot: null, reason: error.message };
  }
}
