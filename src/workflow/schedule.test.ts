import { describe, expect, it } from 'vitest';
import { defineApp, schedule, workflow } from './index.js';

const report = workflow('report', {}, () => null);
const other = workflow('other', {}, () => null);

describe('schedule', () => {
  it('is data: what travels in the manifest, and is as it is read elsewhere', () => {
    const nightly = schedule('nightly', { start: report, input: { at: new Date(0) }, cron: '0 3 * * *', jitter: '1m' });
    const app = defineApp({ workflows: [report], schedules: [nightly] });
    expect(app.manifest.schedules).toEqual([
      {
        name: 'nightly',
        tenant: 'default',
        spec: {
          workflow: 'report',
          cadence: { cron: '0 3 * * *', timeZone: 'UTC' },
          input: '{"at":{"$date":"1970-01-01T00:00:00.000Z"}}',
          catchUp: 'one',
          catchUpMax: 100,
          jitterMs: 60_000,
          overlap: 'skip',
          queueMax: 1,
          labels: null,
          priority: null,
        },
      },
    ]);
    expect(JSON.parse(JSON.stringify(app.manifest))).toEqual(app.manifest);
  });

  it('changes nothing in the manifest of an app that has none', () => {
    expect('schedules' in defineApp({ workflows: [report] }).manifest).toBe(false);
  });

  it('is refused with every fault at once', () => {
    const faults = (options: object): unknown => {
      try {
        schedule('nightly', { start: report, ...options } as never);
        return null;
      } catch (error) {
        return (error as { readonly detail: { readonly faults: readonly string[] } }).detail.faults;
      }
    };
    expect(faults({})).toEqual(['give either cron or every']);
    expect(faults({ cron: '* * *', timeZone: 'Nowhere', catchUp: 'some', overlap: 1, queueMax: 0 })).toEqual([
      'timeZone is not the name of a time zone, such as "Europe/Berlin"',
      expect.stringContaining('cron "* * *" is not valid'),
      'catchUp must be one of none, one, all',
      'overlap must be one of skip, allow, queue, cancel',
      'queueMax must be a whole number from 1 to 100',
    ]);
    expect(faults({ every: '500ms' })).toEqual([expect.stringContaining('at least a second')]);
    expect(faults({ every: '1h', timeZone: 'UTC' })).toEqual([expect.stringContaining('cron alone')]);
    expect(faults({ every: '1h', evry: '1h' })).toEqual(['"evry" is not an option; did you mean "every"?']);
    expect(faults({ every: '1h', input: 'x'.repeat(20_000) })).toEqual([expect.stringContaining('larger than 16384')]);
    expect(faults({ every: '1h', input: Symbol('x') })).toEqual([expect.stringContaining('input')]);
    expect(faults({ every: '1h', start: 'report' })).toEqual(['start must be a workflow']);
    expect(faults({ every: '1h', tenant: 'a/b' })).toEqual([expect.stringContaining('tenant')]);
  });

  it('is refused by an app twice under one name, and without its workflow', () => {
    const made = (name: string, tenant?: string) =>
      schedule(name, { start: report, every: '1h', ...(tenant === undefined ? {} : { tenant }) });
    expect(() => defineApp({ workflows: [report], schedules: [made('a'), made('a')] })).toThrow('"a" is there twice');
    expect(defineApp({ workflows: [report], schedules: [made('a'), made('a', 'acme')] }).schedules).toHaveLength(2);
    expect(() => defineApp({ workflows: [other], schedules: [made('a')] })).toThrow('not in workflows');
    expect(() => defineApp({ workflows: [report], schedules: [report] as never })).toThrow('is not a schedule');
  });
});
