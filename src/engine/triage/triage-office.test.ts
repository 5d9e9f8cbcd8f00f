/** Triage over several servers on one store: what one of them sets, all workers are told. */
import { describe, expect, it } from 'vitest';
import type { FailureShadow } from '../../core/failure.js';
import { rulesVersion } from '../../core/triage/classify.js';
import { modelData } from '../../core/triage/model-data.js';
import type { RunEvent } from '../../core/run/events.js';
import type { RunState } from '../../core/run/state.js';
import type { TriageMessage } from '../../protocol/worker.js';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore } from '../../store/memory.js';
import type { EngineContext } from '../context.js';
import { EnvelopeWriter } from '../events/envelope-writer.js';
import { Catalog } from '../intake/catalog.js';
import { readSpace } from '../admission/counter-rows.js';
import type { CommittedChange } from '../runs/committed.js';
import { systemTenant } from '../system-tenant.js';
import { TriageOffice } from './triage-office.js';

const model = (version: number) => ({ ...modelData, version });
const origin = { tenant: 't', actor: 'user:ada', correlation: null, traceparent: null };

function world() {
  const clock = { now: () => 1_000_000, monotonicMs: () => 1_000_000 };
  const store = createMemoryStore({ clock });
  const server = () => {
    const told: TriageMessage[] = [];
    const ports = { ...nodePorts, clock };
    const context = {
      // Several servers share it.
      store: new Proxy(store, {
        get(target, name) {
          if (name === 'shared') return true;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        },
      }),
      settings: { dedupeTtlMs: 60_000 },
      ports,
      envelopes: new EnvelopeWriter(ports, { region: 'test', valueBytesMax: 1_000_000 }, 1),
    };
    const office = new TriageOffice({
      context: context as unknown as EngineContext,
      catalog: new Catalog(),
      tell: (message) => void told.push(message),
    });
    return { office, told };
  };
  return { store, server };
}

function failed(shadow: FailureShadow, own = true): CommittedChange {
  const data = { path: 'a', attempt: 1, failure: { class: 'timeout', shadow } };
  const events = [{ type: 'step.failed', seq: 5, data } as unknown as RunEvent];
  const state = {} as unknown as RunState;
  return { key: 'r', tenant: 't', run: 'r', state, events, actor: null, task: null, own };
}

const version = (of: number): string => `${rulesVersion}.${of}`;
const beside = (label: FailureShadow['label'], of = 21): FailureShadow => ({
  label,
  against: 'timeout',
  class: label,
  version: version(of),
});

describe('triage of several servers', () => {
  it('is what any of them has set, and each tells its workers of it one time', async () => {
    const { server } = world();
    const [a, b] = [server(), server()];
    expect(a.office.message).toBeNull();
    await a.office.change(origin, { change: 'shadow', model: model(21) });
    await b.office.tick();
    await b.office.tick();
    expect(b.told).toMatchObject([{ t: 'triage', inForce: null, shadow: { version: 21 } }]);
    await b.office.change(origin, { change: 'promote' });
    await a.office.tick();
    expect(a.told.at(-1)).toMatchObject({ inForce: { version: 21 }, shadow: null });
    // A worker that comes now is told the same.
    expect(server().office.message).toBeNull();
    expect(a.office.message).toMatchObject({ inForce: { version: 21 } });
    await a.office.change(origin, { change: 'rollback' });
    await b.office.tick();
    expect(b.office.message).toEqual({ t: 'triage', inForce: null, shadow: null });
    const late = server();
    await late.office.refresh();
    expect(late.office.message).toEqual({ t: 'triage', inForce: null, shadow: null });
  });

  it('keeps the models that something speaks of, and no others, whoever is quicker', async () => {
    const { store, server } = world();
    const [a, b] = [server(), server()];
    const kept = async (): Promise<number[]> =>
      (await readSpace(store, systemTenant, 'triage-models')).map(
        ({ value }) => (JSON.parse(value) as { readonly version: number }).version,
      );
    await Promise.all([
      a.office.change(origin, { change: 'shadow', model: model(21) }),
      b.office.change(origin, { change: 'shadow', model: model(22) }),
    ]);
    const { shadow } = await a.office.view('t');
    expect((await kept()).map(version)).toEqual([shadow]);
    await a.office.change(origin, { change: 'promote' });
    await a.office.change(origin, { change: 'shadow', model: model(23) });
    await a.office.change(origin, { change: 'promote' });
    expect(await kept()).toHaveLength(2);
    for (let i = 0; i < 8; i++) {
      await a.office.change(origin, { change: 'shadow', model: model(30 + i) });
      await b.office.change(origin, { change: 'promote' });
    }
    // The one in force, and the five before it.
    expect((await kept()).sort((x, y) => x - y)).toEqual([32, 33, 34, 35, 36, 37]);
  });

  it('adds up what all of them have counted, of the model in the shadow and of no other', async () => {
    const { server } = world();
    const [a, b] = [server(), server()];
    await a.office.change(origin, { change: 'shadow', model: model(21) });
    await b.office.tick();
    a.office.committed(failed(beside('timeout')));
    a.office.committed(failed(beside('overloaded')));
    b.office.committed(failed(beside('overloaded')));
    b.office.committed(failed(beside('overloaded', 20)));
    b.office.committed(failed(beside('overloaded'), false));
    await b.office.tick();
    const { verdicts, set } = await a.office.view('t');
    expect(verdicts).toEqual({
      failures: 3,
      same: 1,
      pairs: [
        { class: 'timeout', shadow: 'overloaded', count: 2, changes: 2 },
        { class: 'timeout', shadow: 'timeout', count: 1, changes: 0 },
      ],
    });
    expect(set).toMatchObject({ by: 'user:ada' });
  });
});
