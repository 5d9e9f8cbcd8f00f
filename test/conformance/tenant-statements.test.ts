/**
 * Every statement of the stores on a table of tenants names the tenant that it means. Those of upkeep, of the queues that workers
 * of all tenants serve, and of the feed go through all of them: each is named here with its reason, and one that is gone is to
 * be taken out.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const root = new URL('../../src/stores/', import.meta.url);
const tables = 'run|event|task|timer|entry|schedule|dedupe|dead_letter|blob|topic_head|tally|outbox';

/** A statement by where it is and how it begins, with white space as one space. */
type Exceptions = Readonly<Record<string, readonly string[]>>;

const exceptions: Exceptions = {
  'checks of the whole store, whose findings name their tenant': [
    'sqlite/check.ts SELECT tenant, run, task FROM task WHERE state = 3',
    'sqlite/check.ts SELECT tenant, run FROM task WHERE kind = 0 GROUP BY tenant, run',
    'sqlite/check.ts SELECT tenant, workflow AS name, status AS state, count(*)',
    'sqlite/check.ts SELECT tenant, queue AS name, state, count(*)',
    'postgres/check.ts SELECT tenant, coalesce(reference, id::text), id, refused FROM',
    'postgres/check.ts SELECT tenant, run, task FROM',
    'postgres/check.ts SELECT tenant, run FROM',
    'postgres/check.ts SELECT tenant, workflow AS name, status AS state, count(*)',
    'postgres/check.ts SELECT tenant, queue AS name, state, count(*)',
  ],
  'upkeep takes what is over its time, whosever it is': [
    'sqlite/expiry.ts SELECT tenant, run, workflow, status FROM run INDEXED BY run_expiry',
    'sqlite/expiry.ts SELECT id FROM blob INDEXED BY blob_idle',
    'sqlite/expiry.ts DELETE FROM blob WHERE id = ?',
    'sqlite/expiry.ts DELETE FROM tally WHERE count = 0',
    'postgres/upkeep.ts WITH old AS MATERIALIZED',
    'postgres/upkeep.ts SELECT tenant, run FROM ${this.#s}.run WHERE era =',
    'postgres/upkeep.ts page AS MATERIALIZED',
    'postgres/upkeep.ts WITH ${page}, zero AS MATERIALIZED',
    'postgres/upkeep.ts WITH ${page}, loose AS MATERIALIZED',
  ],
  'a restored store begins new epochs for all': [
    'sqlite/provenance.ts UPDATE meta SET value = value + ${restoreJump.epochs}',
    'postgres/home.ts UPDATE ${s}.meta SET value = value + ${restoreJump.epochs}',
    'postgres/restore.ts INSERT INTO ${s}.tally (tenant, kind, name, state, slot, count) SELECT tenant',
  ],
  'the feed has the events of all tenants, and is read by servers': [
    'sqlite/feed-head.ts SELECT max(value, coalesce((SELECT max(position) FROM event), 0))',
    'sqlite/reads.ts SELECT ${eventColumns} FROM event WHERE position > ?',
    'postgres/feed.ts SELECT f.first + e.n',
  ],
  'workers, timers and schedules are served in the order of time, whosever they are': [
    'sqlite/reads.ts SELECT ${taskColumns} FROM task INDEXED BY task_leased WHERE state = 3 ${order}',
    'sqlite/reads.ts SELECT ${taskColumns} FROM task INDEXED BY task_leased WHERE state = 3 AND session = ?',
    'sqlite/reads.ts SELECT tenant, run, name, fire_at FROM timer WHERE fire_at <= ?',
    'sqlite/reads.ts SELECT min(fire_at) FROM timer',
    'sqlite/reads.ts SELECT min(due_at) FROM task',
    'sqlite/reads.ts SELECT min(due_at) FROM schedule',
    'sqlite/reads.ts SELECT ${scheduleColumns} FROM schedule INDEXED BY schedule_due WHERE due_at <= ?',
    'sqlite/reads.ts SELECT min(ready_at) FROM task INDEXED BY task_ready WHERE queue = ?',
    'postgres/outbox.ts SELECT id, transition FROM (',
    'postgres/sql.ts SELECT o.id FROM (SELECT unnest($1::bigint[]) AS id) k JOIN ${s}.outbox',
    'postgres/sql.ts DELETE FROM ${s}.outbox o USING',
    'postgres/outbox.ts DELETE FROM ${this.#parts.schema}.outbox WHERE id =',
    'postgres/outbox.ts UPDATE ${this.#parts.schema}.outbox SET refused = $2 WHERE id =',
    'postgres/reads.ts SELECT ${taskColumns} FROM ${this.#s}.task WHERE state = 3',
    'postgres/reads.ts SELECT ${timerColumns} FROM ${this.#s}.timer WHERE fire_at <=',
    'postgres/reads.ts SELECT least((SELECT min(fire_at)',
    'postgres/reads.ts SELECT ${scheduleColumns} FROM ${this.#s}.schedule WHERE due_at <=',
  ],
  'sums over all tenants, for operators': [
    'sqlite/reads.ts SELECT tenant, topic, part, head FROM topic_head ${from}',
    'sqlite/reads.ts SELECT tenant, kind, name, state, count FROM tally',
    'sqlite/reads.ts SELECT name, state, sum(count) FROM tally',
    'postgres/reads.ts SELECT tenant, topic, part, head FROM ${this.#s}.topic_head ${from}',
    'postgres/reads.ts SELECT q.name, q.state, q.count',
    'postgres/reads.ts SELECT tenant, kind, name, state, sum(count) FROM ${this.#s}.tally',
    'postgres/neighbours.ts SELECT name, sum(count) FROM ${s}.tally',
  ],
  'made of conditions, of which the first is the tenant: see the test of those': [
    'sqlite/reads.ts SELECT ${runColumns} FROM run INDEXED BY ${',
    'sqlite/reads.ts SELECT ${entryColumns} FROM entry WHERE ${conditions',
    'postgres/reads.ts SELECT ${runColumns} FROM ${this.#s}.run WHERE ${conditions',
    'postgres/reads.ts SELECT ${entryColumns} FROM ${this.#s}.entry WHERE ${conditions',
    'postgres/reads.ts SELECT ${deadLetterColumns} FROM ${this.#s}.dead_letter WHERE ${conditions',
    'sqlite/reads.ts SELECT ${deadLetterColumns} FROM dead_letter INDEXED BY dead_letter_at WHERE ${conditions',
  ],
};

interface Statement {
  readonly file: string;
  readonly text: string;
}

/** What the statement does to tables of tenants. */
const touches = new RegExp(String.raw`\b(?:FROM|JOIN|UPDATE|INTO)\s+(?:\$\{[^}]*\}\.)?"?(?:${tables})\b`);

function statements(): readonly Statement[] {
  return ['sqlite', 'postgres'].flatMap((store) =>
    readdirSync(new URL(`${store}/`, root))
      .filter((name) => name.endsWith('.ts') && !name.includes('.test.'))
      .flatMap((name) => {
        const source = readFileSync(new URL(`${store}/${name}`, root), 'utf8')
          .replace(/\/\*[^]*?\*\//g, '')
          .replace(/^\s*\/\/.*$/gm, '');
        return [...source.matchAll(/`((?:[^`\\]|\\.)*)`|'((?:[^'\\\n]|\\.)*)'/g)]
          .map(([, template, quoted]) => (template ?? quoted ?? '').replace(/\s+/g, ' ').trim())
          .filter((text) => /\b(?:SELECT|UPDATE|DELETE FROM|INSERT INTO)\b/.test(text) && touches.test(text))
          .map((text) => ({ file: `${store}/${name}`, text }));
      }),
  );
}

/** Whether it reads or writes rows of a tenant that it is given. */
function namesTenant({ text }: Statement): boolean {
  if (text.startsWith('INSERT INTO '))
    return /^INSERT INTO \S+(?: AS t)? \((?:tenant\b|position, tenant\b|\$\{\w+Columns\})/.test(text);
  return /\btenant\s*=/.test(text) || /\(\s*(?:\w+\.)?tenant\s*,[^)]*\)\s*(?:=|IN\b|>|<)/.test(text);
}

describe('the statements of the stores', () => {
  const all = statements();
  const named = Object.values(exceptions).flat();
  const isNamed = ({ file, text }: Statement): boolean => named.some((known) => `${file} ${text}`.startsWith(known));

  it('are found', () => {
    for (const [store, least] of [
      ['sqlite', 60],
      ['postgres', 30],
    ] as const)
      expect(all.filter(({ file }) => file.startsWith(store)).length, store).toBeGreaterThan(least);
  });

  it('name the tenant whose rows they mean, or are named here with the reason why not', () => {
    expect(all.filter((one) => !namesTenant(one) && !isNamed(one))).toEqual([]);
  });

  it('are named here only while they are there', () => {
    const gone = named.filter((known) => !all.some((one) => `${one.file} ${one.text}`.startsWith(known)));
    expect(gone).toEqual([]);
  });

  it('that are made of conditions begin with that of the tenant', () => {
    for (const store of ['sqlite', 'postgres']) {
      const source = readFileSync(new URL(`${store}/reads.ts`, root), 'utf8');
      const lists = [...source.matchAll(/const conditions(?:: string\[\])? = \[\s*([^\]]*)\]/g)].map(
        ([, first = '']) => first,
      );
      expect(lists.length, store).toBeGreaterThan(0);
      for (const first of lists) expect(first).toMatch(/^['`]tenant = /);
    }
  });
});
