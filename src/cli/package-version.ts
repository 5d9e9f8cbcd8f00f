/** The version of the installed package, read from its own package.json. */
import { readFile } from 'node:fs/promises';

/** `0.1.0` */
export async function packageVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
