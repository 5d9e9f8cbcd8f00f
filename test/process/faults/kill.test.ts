/**
 * SIGKILL and SIGSTOP on real processes, with acknowledged work and executions counted outside of the system: nothing
 * acknowledged is lost, no step runs after its result is committed, no zombie commits late.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { Installation, type Execution } from '../support/installation.js';
import { endAll, nightly } from '../support/processes.js';

const kills = nightly ? 300 : 14;
const freezes = nightly ? 60 : 3;
/** Above `sessionDeadMs` of the server under test. */
const freezeMs = 2_600;

afterEach(endAll);

describe('kills and freezes', () => {
  it('lose nothing that was acknowledged and repeat nothing that is finished', async () => {
    const installation = await Installation.begin(2);
    try {
      const started = new Map<string, string>();
      let running = true;
      const client = async (lane: number): Promise<void> => {
        for (let i = 0; running; i++) {
          const key = `lane${lane}-${i}`;
          started.set(key, await installation.start(key, i));
          await new Promise((wake) => setTimeout(wake, 15));
        }
      };
      const clients = [client(0), client(1)];
      const standstills: Standstill[] = [];
      let killed = 0;
      let frozen = 0;
      while (killed < kills || frozen < freezes) {
        await new Promise((wake) => setTimeout(wake, 150 + Math.random() * 450));
        const dice = Math.random();
        if (frozen < freezes && dice < 0.2) {
          const victim = installation.workers[frozen % 2];
          if (victim === undefined) continue;
          const from = Date.now();
          await victim.freeze();
          await new Promise((wake) => setTimeout(wake, freezeMs));
          standstills.push({ pid: victim.pid, from, until: Date.now() });
          victim.thaw();
          frozen += 1;
        } else if (killed < kills) {
          if (dice < 0.6) await installation.killServer();
          else await installation.killWorker(killed % 2);
          killed += 1;
        }
      }
      running = false;
      await Promise.all(clients);

      // P2: asking again with the same key gives the same run.
      for (const [key, id] of [...started].slice(0, 50))
        expect(await installation.start(key, Number(key.split('-')[1]))).toBe(id);
      // P1 and liveness: every acknowledged run is there and comes to its end.
      const views = await installation.ended([...started.values()], 90_000);
      expect(
        views.filter((view) => view.state !== 'succeeded').map((view) => [view.id, view.state, view.failure]),
      ).toEqual([]);
      // P4: nothing is executed after its result was recorded, by the clock that all processes share.
      const executions = installation.executions();
      const late: unknown[] = [];
      let repeated = 0;
      for (const id of started.values()) {
        const history = await installation.history(id);
        expect(history.map((event) => event.seq)).toEqual(history.map((_, i) => i + 1));
        for (const event of history) {
          if (event.type !== 'step.completed' && event.type !== 'call.completed') continue;
          const path = pathOf((event.data as { path: string }).path);
          const own = executions.filter((e) => e.run === id && e.path === path);
          repeated += own.length - 1;
          const recordedAt = Date.parse(event.at);
          for (const e of own)
            if (e.at > recordedAt + 5 && !isAwakening(e, recordedAt, standstills))
              late.push({ id, path, by: e.at - recordedAt });
        }
      }
      expect(late).toEqual([]);
      const doctor = (await installation.get('/v1/doctor')) as { checks: readonly { ok: boolean }[] };
      expect(doctor.checks.filter((check) => !check.ok)).toEqual([]);
      console.log(
        `kills: ${killed}, freezes: ${frozen}, acknowledged runs: ${started.size}, executions: ${executions.length}, repeated before commit: ${repeated}`,
      );
      expect(started.size).toBeGreaterThan(20);
    } finally {
      await installation.end();
    }
  });
});

/** A worker that stood still. */
interface Standstill {
  readonly pid: number;
  readonly from: number;
  readonly until: number;
}

/** How long a thawed worker may take to hear that its leases are gone. */
const awakeningMs = 1_000;

/**
 * A worker that stood still while another did its work and recorded the result cannot know that when it wakes up: it may
 * begin what it was about to begin. Its commit is refused, as the one result in the history shows.
 */
function isAwakening(execution: Execution, recordedAt: number, standstills: readonly Standstill[]): boolean {
  return standstills.some(
    ({ pid, from, until }) =>
      pid === execution.pid &&
      recordedAt >= from &&
      recordedAt <= until &&
      execution.at >= until &&
      execution.at <= until + awakeningMs,
  );
}

/** The name that the app under test writes down, out of the path in the history. */
function pathOf(path: string): string {
  const add = /add\W+(\d+)/.exec(path);
  if (add !== null) return `add:${add[1]}`;
  const part = /parts\W+(\d+)/.exec(path);
  return part !== null ? `parts:${part[1]}` : 'double';
}
