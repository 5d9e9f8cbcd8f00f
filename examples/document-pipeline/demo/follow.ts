/** Follows runs over their event streams (server-sent events) and keeps what was seen. */
import type { Client } from 'eventspine/client';
import type { App } from '../spine.ts';
import { newTrack, type RunTrack, track } from './run-track.ts';

/** Tells of every change of a run, and who has asked for it. */
export type OnChange = (now: RunTrack, before: RunTrack) => void;

/** Follows a run to its end, telling of every event; resolves with what it came to. */
export async function follow(
  client: Client<App>,
  id: string,
  onChange: OnChange,
  signal: AbortSignal,
): Promise<RunTrack> {
  let now = newTrack(id);
  for await (const item of client.run(id).stream({ signal })) {
    const before = now;
    if (item.event === 'event') now = track(before, item.data);
    else if (item.event === 'state' || item.event === 'end') {
      now = { ...before, state: item.data.state, ended: item.event === 'end' };
    }
    onChange(now, before);
  }
  return now;
}
