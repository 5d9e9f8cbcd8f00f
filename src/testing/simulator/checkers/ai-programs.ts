/**
 * P4 for programs of the AI SDK: what a program came to is what it was told, each answer in its place and each tool as the log has
 * it, whatever lives it took. An answer that is lost, or is given to another that asked, shows here. And nothing that any of its
 * lives has asked for is left open when it has ended: it would hold what limits gave it, or hide that a call is ambiguous.
 */
import { isDeepStrictEqual } from 'node:util';
import { decodeValue } from '../../../core/codec.js';
import { readRunEvent } from '../../../engine/events/rows.js';
import type { Violation } from '../../../store/index.js';
import { saidBy } from '../ai-program.js';
import type { History } from '../history.js';

/** Every breach. */
export function checkAiPrograms(history: History): Violation[] {
  const violations: Violation[] = [];
  for (const [key, rows] of history.final?.histories ?? []) {
    const programs = (history.programs.get(key)?.nodes ?? []).filter((node) => node.op === 'ai');
    if (programs.length === 0) continue;
    const [tenant = '', subject = ''] = key.split('/');
    const events = rows.map((row) => readRunEvent(row).event);
    const done = new Set<string>();
    const open = new Set<string>();
    for (const { type, data, payload } of events) {
      if (type === 'inference.requested') open.add(data.path);
      if (type === 'inference.completed' || type === 'inference.failed') open.delete(data.path);
      if (type !== 'step.completed') continue;
      done.add(data.path);
      const node = programs.find(({ name }) => name === data.path);
      if (node === undefined) continue;
      for (const path of open)
        if (path.startsWith(`${node.name}/`))
          violations.push({ property: 'P4', tenant, subject, detail: `${node.name} has ended, and ${path} is open` });
      const told = payload !== undefined && 'text' in payload ? decodeValue(payload.text) : undefined;
      const due = saidBy(key, node, (path) => done.has(path));
      if (isDeepStrictEqual(told, due)) continue;
      const detail = `${node.name} came to ${JSON.stringify(told)} where ${JSON.stringify(due)} was due`;
      violations.push({ property: 'P4', tenant, subject, detail });
    }
  }
  return violations;
}
