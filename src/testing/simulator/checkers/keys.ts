/**
 * API keys, whoever changes them at the same time: a key that was revoked is never good again, nor is any text after it was
 * replaced; a text that somebody was handed is stored, and good until something was done to it; every key that is good is the one
 * that its name stands for, or nobody could revoke it.
 */
import type { ApiKey } from '../../../core/keys/api-key.js';
import type { Violation } from '../../../store/index.js';
import type { History } from '../history.js';

const keySpace = 'api-key';
const nameSpace = 'api-key-name';

/** From when on a text was the newest of its key, and until when; steps of the world. */
interface Life {
  readonly from: number;
  until: number;
}

/** Every breach. */
export function checkKeys(history: History): Violation[] {
  const violations: Violation[] = [];
  if (history.keys.length === 0) return violations;
  const report = (subject: string, detail: string): void => {
    violations.push({ property: 'keys', tenant: '', subject, detail });
  };
  const keys = new Map<string, ApiKey>();
  const names = new Map<string, string>();
  const lives = new Map<string, Life>();
  for (const action of history.actions) {
    if (action.kind !== 'apply' || action.outcome.tag !== 'applied') continue;
    const ends = (key: ApiKey | undefined): void => {
      for (const { hash } of key?.secrets ?? []) {
        const life = lives.get(`${key?.id} ${hash}`);
        if (life !== undefined) life.until = Math.min(life.until, action.step);
      }
    };
    for (const entry of action.transition.entries ?? []) {
      const at = `${entry.key}/${entry.ref}`;
      if (entry.space === nameSpace && entry.op === 'put') names.set(at, entry.value);
      if (entry.space === nameSpace && entry.op === 'drop') names.delete(at);
      if (entry.space !== keySpace) continue;
      const before = keys.get(entry.key);
      if (entry.op === 'drop') {
        ends(before);
        keys.delete(entry.key);
        continue;
      }
      const after = JSON.parse(entry.value) as ApiKey;
      keys.set(entry.key, after);
      const [newest, former] = after.secrets;
      if (before !== undefined && before.revoked !== null && after.revoked === null)
        report(entry.key, 'was revoked, and is good again');
      if (before !== undefined && former !== undefined && newest?.hash !== before.secrets[0]?.hash) {
        if (former.hash !== before.secrets[0]?.hash)
          report(entry.key, 'was given a text in place of one that it had not');
      }
      if (newest?.hash !== before?.secrets[0]?.hash || after.revoked !== null) ends(before);
      if (newest !== undefined && after.revoked === null && !lives.has(`${after.id} ${newest.hash}`))
        lives.set(`${after.id} ${newest.hash}`, { from: action.step, until: Number.POSITIVE_INFINITY });
    }
  }
  for (const key of keys.values()) {
    if (key.revoked === null && names.get(`${key.tenant}/${key.name}`) !== key.id)
      report(key.id, `is good, and ${key.name} does not stand for it`);
  }
  const revokedAt = new Map<string, number>();
  for (const { what, id, told } of history.keys) {
    if (what === 'revoked') revokedAt.set(id, Math.min(told, revokedAt.get(id) ?? told));
  }
  for (const { what, id, hash, asked, told } of history.keys) {
    const life = lives.get(`${id} ${hash}`);
    if ((what === 'made' || what === 'rotated') && life === undefined)
      report(id, 'somebody was handed a text that was never stored');
    if (what === 'good' && asked > (revokedAt.get(id) ?? Number.POSITIVE_INFINITY))
      report(id, 'was good for somebody who came after it was revoked');
    // The newest text from before the question until after the answer.
    if (what === 'bad' && life !== undefined && life.from < asked && life.until > told)
      report(id, 'was refused while it was good');
  }
  return violations;
}
