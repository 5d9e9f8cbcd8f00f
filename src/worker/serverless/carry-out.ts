/**
 * Carries out a task that was pushed: a call, a turn of a body, or the question what there is. What came before, the line
 * and the signature, is no concern of it.
 */
import { SpineError } from '../../core/errors.js';
import { failureOf } from '../../core/failure-of.js';
import { failure } from '../../core/failure.js';
import { limits } from '../../core/limits.js';
import { isBlobPayload } from '../../core/payload.js';
import type { Ports } from '../../core/ports.js';
import type { CallAnswer, CallChunks, PushAnswer, PushedCall, PushedTurn, PushRequest } from '../../protocol/push.js';
import type { AppRegistry } from '../app-registry.js';
import { beginCall } from '../call-work.js';
import type { WorkHost } from '../work.js';
import { workerLog, type WorkerLogRecord } from '../worker-log.js';
import { runTurn } from './turn.js';

/** Part of a request's time that is kept for the way back. */
const marginShare = 0.05;
const marginMsMax = 1_000;

/** What a task is carried out with. */
export interface Circumstances {
  readonly registry: AppRegistry;
  readonly ports: Ports;
  /** Takes the log lines of user code. Default: none. */
  readonly log?: ((record: WorkerLogRecord) => void) | undefined;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** The answer to a task. Never rejects: what goes wrong in code of the app is part of the answer. */
export function carryOut(task: PushRequest, circumstances: Circumstances): Promise<PushAnswer> {
  switch (task.kind) {
    case 'describe':
      return Promise.resolve({ outcome: 'described', manifest: circumstances.registry.manifest });
    case 'call':
      return call(task, circumstances);
    case 'activation':
      return turn(task, circumstances);
  }
}

function call(task: PushedCall, { registry, ports, log, signal }: Circumstances): Promise<CallAnswer> {
  const handler = registry.handler(task.capability);
  if (handler === undefined) {
    const error = new SpineError('CAPABILITY_UNKNOWN', { name: task.capability });
    return Promise.resolve({ outcome: 'failed', failure: { ...failureOf(error), retryable: true } });
  }
  return new Promise((resolve) => {
    const streams: CallChunks[] = [];
    let submissions = 0;
    const finish = (answer: CallAnswer): void => {
      cancel();
      signal.removeEventListener('abort', hangUp);
      resolve(streams.length === 0 ? answer : { ...answer, streams: [...streams] });
    };
    const host: WorkHost = {
      ports,
      log: workerLog(log),
      submit(commands) {
        const [command] = commands;
        const i = ++submissions;
        if (command?.op === 'appendTask' && !isBlobPayload(command.chunks)) {
          const { name, from, count, chunks } = command;
          streams.push({ name, from, count, chunks });
          // They go with the answer, before the outcome, so the handler need not wait for them.
          queueMicrotask(() => work.settle({ i, assignment: 1, commands }, { i, ok: true, head: 0 }));
        } else if (command?.op === 'completeTask' && !isBlobPayload(command.result))
          finish({ outcome: 'completed', result: command.result, durationMs: command.durationMs });
        else if (command?.op === 'failTask') finish({ outcome: 'failed', failure: command.failure });
        return i;
      },
      // Everything goes back in one answer.
      valueBytesMax: limits.payloadBytesMax,
      fit: (payload) => Promise.resolve(payload),
      store: () => Promise.reject(new Error('An endpoint stores nothing.')),
      load: (payload) => Promise.reject(new SpineError('BLOB_NOT_FOUND', { blob: payload.blob })),
      giveBack: () => undefined,
    };
    const work = beginCall({ ...task, assignment: 1 }, handler, host, null);
    const hangUp = (): void => {
      work.stop('lease_lost');
      finish({ outcome: 'failed', failure: timedOut(task.timeoutMs) });
    };
    const cancel = ports.timers.after(lessMargin(task.timeoutMs), () => {
      work.stop('deadline');
      finish({ outcome: 'failed', failure: timedOut(task.timeoutMs) });
    });
    signal.addEventListener('abort', hangUp, { once: true });
  });
}

function turn(task: PushedTurn, { registry, ports, log, signal }: Circumstances): Promise<PushAnswer> {
  const definition = registry.definition(task.workflow, task.version);
  if (definition === undefined) {
    const known = registry.versions(task.workflow) ?? [];
    const error = new SpineError('VERSION_UNKNOWN', { name: task.workflow, version: task.version, known });
    const commands = [{ op: 'abandon', failure: { ...failureOf(error), retryable: true } }] as const;
    return Promise.resolve({ outcome: 'turn', commands });
  }
  const write = workerLog(log);
  return runTurn(task, {
    definition,
    ports,
    timeoutMs: lessMargin(task.timeoutMs),
    signal,
    model: (name) => registry.model?.(name) ?? null,
    topic: (name) => registry.topic?.(name) ?? null,
    remedies: registry.remedies ?? {},
    tools: registry.tools ?? null,
    log: ({ level, message, fields, tenant, run, path }) => write(level, message, { ...fields, tenant, run, path }),
  });
}

function lessMargin(timeoutMs: number): number {
  return timeoutMs - Math.min(marginMsMax, timeoutMs * marginShare);
}

function timedOut(timeoutMs: number) {
  const { code, message } = new SpineError('TASK_TIMEOUT', { deadlineMs: timeoutMs });
  return failure({ class: 'timeout', code, message, retryable: true });
}
