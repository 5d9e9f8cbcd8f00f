/**
 * Who is shown what of tagged fields. Clearances come from the principal, or from its roles by what the installation says;
 * nobody has one by default. For each clearance there is one engine that shows no more (`ShownEngine`), shared by all who
 * have it.
 */
import { Declarations } from '../../core/redaction/declared.js';
import { everyTag } from '../../core/redaction/tags.js';
import type { Engine } from '../../engine/api.js';
import type { Principal } from '../options.js';
import { RunNames } from './run-names.js';
import { shownEngine, type Reader } from './shown-engine.js';

/** Clearances that are told apart at one time. */
const readersMax = 64;
const nobody: ReadonlySet<string> = new Set();

/** Tags that roles are shown in clear. */
export type RoleClearances = Readonly<Record<string, readonly string[]>>;

/** What somebody is shown in clear: what it has itself, else what its roles have. */
export function clearanceOf(
  { clearances, roles }: Pick<Principal, 'clearances' | 'roles'>,
  ofRoles: RoleClearances,
): ReadonlySet<string> | 'everything' {
  const tags = clearances ?? roles.flatMap((role) => (Object.hasOwn(ofRoles, role) ? (ofRoles[role] ?? []) : []));
  if (tags.length === 0) return nobody;
  return tags.includes(everyTag) ? 'everything' : new Set(tags);
}

export class Redaction {
  readonly #engine: Engine;
  readonly #roles: RoleClearances;
  readonly #names: RunNames;
  readonly #engines = new Map<string, Engine>();
  readonly #ofNobody: readonly [Engine, Engine];
  #declared = new Declarations([]);

  constructor(engine: Engine, roles: RoleClearances) {
    this.#engine = engine;
    this.#roles = roles;
    this.#names = new RunNames(engine);
    this.#ofNobody = [
      this.#made({ cleared: nobody, isWorker: false }),
      this.#made({ cleared: nobody, isWorker: true }),
    ];
  }

  /** What the apps in force declare. */
  readonly declared = (): Declarations => {
    const manifests = this.#engine.definitions();
    if (!this.#declared.isOf(manifests)) this.#declared = new Declarations(manifests);
    return this.#declared;
  };

  /** The engine as a principal sees it: the same object for all who see the same. */
  engineFor(principal: Pick<Principal, 'clearances' | 'roles'>): Engine {
    const cleared = clearanceOf(principal, this.#roles);
    if (cleared === 'everything') return this.#engine;
    const isWorker = principal.roles.includes('worker');
    // Most have none, and every request asks.
    return cleared === nobody ? this.#ofNobody[isWorker ? 1 : 0] : this.#engineOf(cleared, isWorker);
  }

  #engineOf(cleared: ReadonlySet<string>, isWorker: boolean): Engine {
    // Whatever else somebody is cleared for, nothing in force has it.
    const { tags } = this.declared();
    const known = new Set([...cleared].filter((tag) => tags.has(tag)));
    const key = `${isWorker ? 'worker' : ''} ${[...known].sort().join(' ')}`;
    const found = this.#engines.get(key);
    if (found !== undefined) return found;
    if (this.#engines.size >= readersMax) this.#engines.clear();
    const made = this.#made({ cleared: known, isWorker });
    this.#engines.set(key, made);
    return made;
  }

  #made(reader: Reader): Engine {
    return shownEngine({ engine: this.#engine, names: this.#names, declared: this.declared }, reader);
  }
}
