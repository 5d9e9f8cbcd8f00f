/** What the code of steps and handlers does in the simulated world: takes its time at the provider, and meets its fate. */
import type { Timers } from '../../core/ports.js';
import type { History } from './history.js';
import { providerError, stormError, type EffectSite, type PerformEffect } from './program-app.js';
import type { CallNode, InferNode, StepNode } from './program.js';
import type { Provider } from './provider.js';

/** Under which claim something is worked on, as the server gave it. */
export interface ClaimMark {
  readonly session: string;
  readonly assignment: number;
}

/** Where effects are performed. */
export interface Stage {
  readonly history: History;
  readonly provider: Provider;
  readonly timers: Timers;
  /** By the key of a call, or `tenant/run` of a body. */
  readonly claimOf: (key: string) => ClaimMark;
  /** The request that is worked on, in an endpoint. */
  readonly request?: string;
  /** Ends the process that it runs in. */
  readonly die: () => void;
}

/** Effects as one process performs them. */
export function performedOn({ history, provider, timers, claimOf, request, die }: Stage): PerformEffect {
  return async (node: StepNode | CallNode | InferNode, at: EffectSite) => {
    const { kind, idempotencyKey, attempt, write, providerKey } = at;
    // A shared question does not say for whom it is asked; the key of the call does.
    const asker = idempotencyKey === '' ? provider.askerOf(providerKey ?? '') : null;
    const site = asker === null ? idempotencyKey : `${asker.tenant}/${asker.run}/${asker.path}`;
    const [tenant = '', run = '', ...rest] = site.split('/');
    const path = rest.join('/');
    const claim = claimOf(kind === 'call' ? idempotencyKey : `${tenant}/${run}`);
    const begun = {
      kind,
      tenant,
      run,
      path,
      attempt,
      body: JSON.stringify(node),
      ...claim,
      ...(request === undefined ? {} : { request }),
      ...(providerKey === undefined ? {} : { key: providerKey }),
    };
    const fate = provider.begin(node, begun);
    const mark = history.executions.length;
    const chunks = node.op === 'infer' ? 0 : node.chunks;
    const parts = Math.max(1, chunks);
    for (let i = 0; i < parts; i++) {
      if (i < chunks) await write([mark, i]);
      await new Promise<void>((resolve) => timers.after(node.ms / parts, resolve));
    }
    if (fate === 'kills') {
      die();
      await new Promise(() => undefined);
    }
    if (fate === 'fails') throw providerError();
    if (fate === 'down' || fate === 'told') throw stormError(fate, provider.stormMs);
    return site;
  };
}
