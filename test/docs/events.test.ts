import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { RunEventData, RunEventType } from '../../src/core/run/events.js';
import { sections, tableNames } from './markdown.js';

/**
 * Every event type and every field of its data. The type makes the compiler refuse this table when it is not the same
 * as the code; the tests compare it with the page.
 */
const catalogue: { readonly [T in RunEventType]: Readonly<Record<keyof RunEventData[T], true>> } = {
  'run.started': {
    workflow: true,
    version: true,
    priority: true,
    timeoutMs: true,
    startAt: true,
    retainMs: true,
    completes: true,
    activationDeadlineMs: true,
    activationRetry: true,
    trigger: true,
    labels: true,
    idempotencyKey: true,
    correlation: true,
    traceparent: true,
    parent: true,
    continues: true,
    graph: true,
    agent: true,
  },
  'graph.started': { nodes: true },
  'node.skipped': { path: true, reason: true },
  'node.failed': { path: true, failure: true },
  'step.started': { path: true, attempt: true, effect: true },
  'step.completed': { path: true, attempt: true, durationMs: true, withInput: true },
  'step.retrying': { path: true, attempt: true, retryAt: true, failure: true },
  'step.due': { path: true, attempt: true },
  'step.failed': { path: true, attempt: true, failure: true },
  'call.scheduled': {
    path: true,
    capability: true,
    queue: true,
    deadlineMs: true,
    retry: true,
    effect: true,
    priority: true,
    limits: true,
  },
  'call.admitted': { path: true, attempt: true, limits: true },
  'call.retrying': { path: true, attempt: true, retryAt: true, failure: true },
  'call.completed': { path: true, attempt: true, worker: true, durationMs: true },
  'call.failed': { path: true, attempt: true, failure: true },
  'inference.requested': {
    path: true,
    attempt: true,
    first: true,
    model: true,
    fingerprint: true,
    estimate: true,
    policy: true,
    streamed: true,
    deadlineMs: true,
    grant: true,
  },
  'inference.admitted': { path: true, attempt: true, grant: true },
  'inference.begun': { path: true, attempt: true },
  'inference.identified': { path: true, attempt: true, providerId: true },
  'inference.ambiguous': { path: true, attempt: true, policy: true },
  'inference.completed': {
    path: true,
    attempt: true,
    usage: true,
    costMicros: true,
    finish: true,
    durationMs: true,
    firstPartMs: true,
    providerId: true,
  },
  'inference.retrying': { path: true, attempt: true, retryAt: true, failure: true, usage: true, costMicros: true },
  'inference.due': { path: true, attempt: true },
  'inference.failed': { path: true, attempt: true, failure: true, usage: true, costMicros: true },
  'decision.recorded': {
    path: true,
    attempt: true,
    model: true,
    version: true,
    arm: true,
    endpoint: true,
    fingerprint: true,
    input: true,
    output: true,
    finish: true,
    usage: true,
    costMicros: true,
    latencyMs: true,
    firstPartMs: true,
    hops: true,
    confidence: true,
    alternatives: true,
    rules: true,
  },
  'timer.set': { path: true, fireAt: true },
  'timer.fired': { path: true },
  'event.emitted': { path: true, topic: true, eventId: true },
  'progress.reported': { index: true },
  'stream.appended': { path: true, attempt: true, offset: true, count: true, writer: true },
  'context.put': { path: true, name: true, key: true, version: true },
  'context.used': { path: true, name: true, key: true },
  'context.inherited': { name: true, key: true, version: true, fetchedAt: true },
  'race.decided': { path: true, winner: true },
  'child.started': { path: true, run: true, workflow: true, attached: true },
  'child.cancel_requested': { path: true, reason: true },
  'child.ended': { path: true, run: true, status: true, failure: true },
  'signal.received': { id: true, name: true, by: true, mail: true, failure: true },
  'message.sent': { path: true, to: true },
  'message.buried': { path: true, message: true, attempts: true, failure: true, deadLetter: true },
  'wait.opened': { path: true, on: true, expiresAt: true },
  'wait.satisfied': { path: true, by: true },
  'wait.expired': { path: true },
  'wait.cancelled': { path: true, returned: true },
  'approval.delegated': { path: true, by: true, to: true },
  'approval.escalated': { path: true, level: true, to: true },
  'approval.commented': { path: true, by: true },
  'run.parked': {},
  'activation.retrying': { attempt: true, retryAt: true, progressed: true, failure: true },
  'run.cancel_requested': { reason: true, by: true, graceMs: true },
  'run.succeeded': {},
  'run.failed': { failure: true, path: true, deadLetter: true },
  'run.cancelled': { reason: true, forced: true },
  'run.refused': { code: true },
  'run.continued': { next: true },
  'run.redriven': { by: true, paths: true, deadLetter: true, children: true },
  'run.migrated': { by: true, from: true, to: true },
};

const page = sections(readFileSync(new URL('../../docs/reference/events.md', import.meta.url), 'utf8'));

describe('docs/reference/events.md', () => {
  it.each(Object.entries(catalogue))('documents %s with its fields and no others', (type, fields) => {
    expect(tableNames(page.get(type) ?? '').sort()).toEqual(Object.keys(fields).sort());
  });

  it('documents no event that does not exist', () => {
    const documented = [...page.keys()].filter((title) => title.includes('.'));
    expect(documented.sort()).toEqual(Object.keys(catalogue).sort());
  });
});
