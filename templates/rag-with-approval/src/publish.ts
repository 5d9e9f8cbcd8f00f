/** Where approved answers go: files under `published/`. A repeat writes the same file again, so it does no harm. */
import { mkdir, writeFile } from 'node:fs/promises';

const folder = new URL('../published/', import.meta.url);

/** What is published. */
export interface Page {
  readonly id: string;
  readonly question: string;
  readonly text: string;
}

/** Writes the page; gives its name. */
export async function publishPage({ id, question, text }: Page): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(new URL(`${id}.md`, folder), `# ${question}\n\n${text}\n`);
  return `published/${id}.md`;
}
