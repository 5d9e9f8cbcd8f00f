import { readFileSync, writeFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { workerProtocolSchema } from './worker-schemas.js';

const file = new URL('../../docs/reference/worker-protocol.schema.json', import.meta.url);
const isWriting = process.env['EVENTSPINE_WRITE_DOCS'] === '1';

describe('the schemas of the worker protocol', () => {
  it('are in docs/reference/worker-protocol.schema.json as they are here', () => {
    const text = `${JSON.stringify(workerProtocolSchema, null, 2)}\n`;
    if (isWriting) writeFileSync(file, text);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(text));
  });

  it('compile, each by its name, and refer to nothing that is missing', () => {
    const ajv = new Ajv2020({ strictTypes: false });
    ajv.addSchema(workerProtocolSchema);
    for (const name of Object.keys(workerProtocolSchema.$defs))
      expect(ajv.getSchema(`${workerProtocolSchema.$id}#/$defs/${name}`), name).toBeDefined();
  });
});
