/**
 * What a worker can run: the bodies and handlers of an app, looked up by the names that assignments carry.
 */
import type { Manifest } from '../core/manifest.js';
import type { RemedyPolicy } from '../core/remedies.js';
import type { ToolPolicy } from '../core/tools/policy.js';
import { findHandler, findModel, findTopic, findWorkflow, versionsOf, type AnyApp } from '../workflow/app.js';
import type { Model } from '../workflow/model.js';
import type { Topic } from '../workflow/topic.js';
import type { Handler } from '../workflow/capability.js';

/** The workflows and capabilities that this process serves. */
export interface AppRegistry {
  readonly app: string;
  /** Of the whole app, also where only a part of it is served. */
  readonly manifest: Manifest;
  /** Versions of a workflow that are here; undefined = the workflow is not. */
  versions(workflow: string): readonly (string | null)[] | undefined;
  /** Definition of a workflow in a version, for `beginActivation`; undefined = it is not here. */
  definition(workflow: string, version: string | null): object | undefined;
  handler(capability: string): Handler | undefined;
  /** A model that bodies ask; null = it is not here. Absent = there is none at all. */
  model?(name: string): Model | null;
  /** A topic whose events bodies read, for its upcasters; null = it is not here. Absent = there is none at all. */
  topic?(name: string): Topic | null;
  /** What the app declares about failures. */
  readonly remedies?: RemedyPolicy;
  /** What the app says of tools. */
  readonly tools?: ToolPolicy;
}

/** The registry of an app. */
export function registryOf(app: AnyApp): AppRegistry {
  return {
    app: app.name,
    get manifest() {
      return app.manifest;
    },
    versions: (workflow) => versionsOf(app, workflow),
    definition: (workflow, version) => findWorkflow(app, workflow, version),
    handler: (capability) => findHandler(app, capability),
    model: (name) => findModel(app, name),
    topic: (name) => findTopic(app, name),
    remedies: app.remedies,
    ...(app.tools === null ? {} : { tools: app.tools }),
  };
}

/** A part of an app, by names; null = all of that kind. */
export interface Offer {
  readonly workflows: readonly string[] | null;
  readonly capabilities: readonly string[] | null;
}

/** The names of an offer that the app does not have, as faults. */
export function offerFaults(manifest: Manifest, offer: Offer): string[] {
  const workflows = manifest.workflows.map((workflow) => workflow.name);
  const capabilities = manifest.capabilities.filter((c) => c.implemented).map((c) => c.name);
  return [
    ...unknownNames('workflows', offer.workflows, workflows),
    ...unknownNames('capabilities', offer.capabilities, capabilities),
  ];
}

function unknownNames(what: string, wanted: readonly string[] | null, known: readonly string[]): string[] {
  return (wanted ?? [])
    .filter((name) => !known.includes(name))
    .map((name) => `${what}: "${name}" is not in the app; it has ${known.join(', ') || 'none'}`);
}

/** The offer by full names, as `hello` carries it; undefined where everything is offered. */
export function namesOffered(
  manifest: Manifest,
  offer: Offer,
): { readonly workflows: readonly string[]; readonly capabilities: readonly string[] } | undefined {
  if (offer.workflows === null && offer.capabilities === null) return undefined;
  return {
    workflows: offer.workflows ?? manifest.workflows.map((workflow) => workflow.name),
    capabilities: offer.capabilities ?? manifest.capabilities.filter((c) => c.implemented).map((c) => c.name),
  };
}
