/**
 * The app as the test kit hosts it: fakes in the place of handlers, every handler watched, and no deadline for bodies that
 * wait in memory for years of virtual time.
 */
import { durationMsMax } from '../../core/duration.js';
import { SpineError } from '../../core/errors.js';
import type { AnyApp, Capability, Handler, HandlerContext, Model, ModelEndpoint } from '../../workflow/index.js';
import { takesOf } from './fakes.js';
import type { UserWork } from './user-work.js';
import type { VirtualTime } from './virtual-time.js';
import { ending } from './watched-bodies.js';

/** What is needed to host an app. */
export interface HostingOptions {
  readonly handlers: readonly Handler[];
  /** In the place of what calls the provider, by the name of the model. */
  readonly models: Readonly<Record<string, ModelEndpoint>>;
  readonly time: VirtualTime;
  readonly work: UserWork;
}

/** See the top of the module. Fails with OPTIONS_INVALID. */
export function appUnderTest(app: AnyApp, options: HostingOptions): AnyApp {
  const given = new Map(options.handlers.map((handler) => [nameOf(handler), handler]));
  const others = app.handlers.filter((handler) => !given.has(nameOf(handler)));
  const handlers = [...others, ...given.values()].map((handler) => watched(handler, options));
  const models = modelsWith(app, options);
  return { ...app, handlers, models, manifest: manifestWith(app, handlers) };
}

function modelsWith(app: AnyApp, { models: fakes, work }: HostingOptions): readonly Model[] {
  const unknown = Object.keys(fakes).filter((name) => !app.models.some((model) => model.name === name));
  if (unknown.length > 0) {
    const faults = [`models: the app does not know ${unknown.join(', ')}; put the model into \`models\` of defineApp`];
    throw new SpineError('OPTIONS_INVALID', { what: 'testSpine', faults });
  }
  return app.models.map((model) => ({
    ...model,
    versions: model.versions.map((version) => ({
      ...version,
      use: watchedEndpoint(model.name, fakes[model.name] ?? version.use, work),
    })),
  }));
}

/** Where a call of a provider is under way, real time may bring something. */
function watchedEndpoint(name: string, use: ModelEndpoint, work: UserWork): ModelEndpoint {
  const during = <T>(act: () => PromiseLike<T>): Promise<T> => {
    const entry = work.begin(`model "${name}"`, '', name);
    return ending(
      async () => await act(),
      () => work.end(entry),
    );
  };
  const { specificationVersion, provider, modelId, supportsIdempotencyKeys = false } = use;
  return {
    specificationVersion,
    provider,
    modelId,
    supportsIdempotencyKeys,
    doGenerate: (options) => during(() => use.doGenerate(options)),
    doStream: (options) => during(() => use.doStream(options)),
    ...(use.fetch === undefined
      ? {}
      : {
          fetch: (id: string, options: Parameters<NonNullable<ModelEndpoint['fetch']>>[1]) =>
            during(async () => await use.fetch?.(id, options)),
        }),
  };
}

function manifestWith(app: AnyApp, handlers: readonly Handler[]): AnyApp['manifest'] {
  const { manifest } = app;
  const implemented = new Set(handlers.map(nameOf));
  const unknown = handlers.filter((handler) => !app.capabilities.some(({ name }) => name === nameOf(handler)));
  if (unknown.length > 0) {
    const names = unknown.map(nameOf).join(', ');
    const faults = [`handlers: the app does not know ${names}; name the capability in \`capabilities\` of defineApp`];
    throw new SpineError('OPTIONS_INVALID', { what: 'testSpine', faults });
  }
  return {
    ...manifest,
    workflows: manifest.workflows.map((workflow) => ({ ...workflow, deadlineMs: durationMsMax })),
    capabilities: manifest.capabilities.map((one) => ({ ...one, implemented: implemented.has(one.name) })),
  };
}

function watched(handler: Handler, { time, work }: HostingOptions): Handler {
  const takesMs = takesOf.get(handler) ?? 0;
  const { handle } = handler;
  return {
    ...handler,
    handle: (input, context) => {
      const entry = work.begin(`handler of "${nameOf(handler)}"`, context.run.id, pathOf(context));
      const act = async (): Promise<unknown> => {
        if (takesMs > 0) {
          entry.sleeping++;
          await virtualPause(time, takesMs, context).finally(() => entry.sleeping--);
        }
        return await handle(input, context);
      };
      return ending(act, () => work.end(entry));
    },
  };
}

/** A pause on the virtual clock; ends with the signal's reason where the result is no longer wanted. */
function virtualPause(time: VirtualTime, ms: number, { signal }: HandlerContext): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      cancel();
      reject(signal.reason as Error);
    };
    const cancel = time.after(ms, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

function pathOf({ idempotencyKey, run }: HandlerContext): string {
  return idempotencyKey.slice(`${run.tenant}/${run.id}/`.length);
}

function nameOf({ capability }: { readonly capability: Capability }): string {
  return capability.name;
}
