/**
 * What a body asks for, as an onlooker sees it: enough to tell whether it is still what was recorded.
 */
import type { InlinePayload } from '../../core/payload.js';
import type { StepContext } from '../ctx.js';
import type { UnitKind } from './path-record.js';

/** What is asked for, apart from its path. All of it is optional: only what the kind has. */
export interface UnitDetail {
  /** Capability of a call. */
  readonly capability?: string;
  /** Model of an inference. */
  readonly model?: string;
  /** Topic of an emitted event. */
  readonly topic?: string;
  /** The function of a step that has no effects. */
  readonly pure?: (step: StepContext) => unknown;
  /** Input of a call or step, or data of an event, as it would be recorded. */
  readonly input?: InlinePayload;
}

/** See the top of the module. */
export interface AskedUnit extends UnitDetail {
  readonly path: string;
  readonly kind: UnitKind;
  /** Asked for by a program inside of a step, and not by the body. */
  readonly apart?: boolean;
}
