/** Which of two definitions of a topic is in force, where several apps have it. */
import type { TopicManifest } from '../manifest.js';

/** That with the newest version of the schema, else the later. */
export function newerTopic(before: TopicManifest | undefined, after: TopicManifest): TopicManifest {
  const newest = ({ versions = [] }: TopicManifest): number => versions.at(-1)?.version ?? 0;
  return before !== undefined && newest(before) > newest(after) ? before : after;
}
