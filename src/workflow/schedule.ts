/** Schedules as values: what starts runs of a workflow again and again. Making one starts nothing; a server sees to it. */
import { limits } from '../core/limits.js';
import { readSchedule, scheduleOptionNames, type ScheduleOptions, type ScheduleSpec } from '../core/schedule/spec.js';
import { OptionFaults } from './options.js';
import type { AnyWorkflow, Workflow } from './workflow.js';

/** The input of each run: left out only where the workflow takes null. */
type InputOption<In> = null extends In ? { readonly input?: In } : { readonly input: In };

/** What a schedule in code is made of. */
export type ScheduleDefinition<In> = Omit<ScheduleOptions, 'input'> &
  InputOption<In> & {
    /** The workflow that each tick starts. */
    readonly start: Workflow<string, In>;
    /** The tenant whose schedule it is. Default `default`, as of requests on a server without `authorize`. */
    readonly tenant?: string;
  };

/** A schedule that an app brings along. */
export interface Schedule<Name extends string = string> {
  readonly kind: 'schedule';
  readonly name: Name;
  readonly tenant: string;
  readonly start: AnyWorkflow;
  readonly spec: ScheduleSpec;
}

/** Defines a schedule, for `defineApp({ schedules })`. Fails with OPTIONS_INVALID, naming all faults. */
export function schedule<const Name extends string, In>(name: Name, options: ScheduleDefinition<In>): Schedule<Name> {
  const faults = new OptionFaults(`schedule "${name}"`);
  faults.name(name);
  faults.unknownNames(options, [...scheduleOptionNames, 'start', 'tenant']);
  const { start, tenant = 'default', ...rest } = options;
  const kind: unknown = (start as Partial<AnyWorkflow> | undefined)?.kind;
  if (kind !== 'workflow') faults.add('start must be a workflow');
  if (typeof tenant !== 'string' || tenant === '' || tenant.length > limits.tenantLengthMax || tenant.includes('/'))
    faults.add(`tenant must be a text of 1 to ${limits.tenantLengthMax} characters without a slash`);
  const spec = readSchedule(kind === 'workflow' ? start.name : '', rest, (fault) => faults.add(fault));
  faults.throwIfAny();
  return { kind: 'schedule', name, tenant, start, spec };
}
