/** Drives a tiny engine whose body runs programs of the AI SDK. */
import { settled, type MiniEngine } from '../replay/mini-engine.js';

/** Nothing more happens by itself. The code of the SDK takes turns of its own, and more of them than anything here. */
export async function quiet(engine: MiniEngine): Promise<void> {
  for (let still = 0; still < 3; still++) {
    const before = engine.submissions.length;
    await settled(12 + engine.events.length);
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (engine.submissions.length !== before) still = -1;
  }
}

/** Commits so many submissions, each when nothing more happens by itself. */
export async function commits(engine: MiniEngine, count: number): Promise<void> {
  for (let i = 0; i < count && !engine.ended; i++) {
    await quiet(engine);
    engine.commit();
  }
}

/** Commits whatever comes until nothing more does. */
export async function drained(engine: MiniEngine): Promise<void> {
  for (let i = 0; i < 200 && !engine.ended; i++) {
    await quiet(engine);
    if (engine.submissions.length === 0) {
      // Streams are written in batches.
      engine.time.advance(100);
      await quiet(engine);
    }
    if (engine.submissions.length === 0) return;
    engine.commit();
  }
}

/** The worker dies, and another goes on from what is recorded. */
export function dies(engine: MiniEngine): void {
  engine.activation?.abort('lease_lost');
  engine.begin();
}
