/** The restore drill on SQLite: copied under load, everything killed, put back, gone on with. */
import { renameSync, rmSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { jsonLines, Project } from './cli/project.js';
import { Drill } from './support/drill.js';
import { endAll } from './support/processes.js';
import { expectRestored } from './support/restored.js';

let project: Project;

afterEach(async () => {
  await endAll();
  project.remove();
});

describe('backup of a SQLite store', () => {
  it('is taken under load, put back after a disaster, and gone on with', async () => {
    project = new Project({ files: ['moving.mjs'] });
    const drill = new Drill(project);
    await drill.serve('spine.db');
    await drill.work();
    drill.beginLoad();
    await drill.acknowledged(40);
    const fromAt = Date.now();
    const copied = await project.run('backup', 'copy.db', '--store', 'spine.db', '--json');
    const untilAt = Date.now();
    expect([copied.code, copied.stderr]).toEqual([0, '']);
    expect(jsonLines(copied.stdout)).toMatchObject([{ bytes: expect.any(Number) as number }]);
    await new Promise((wake) => setTimeout(wake, 2_000));
    await drill.endLoad();
    await drill.stop('SIGKILL');

    for (const ending of ['', '-wal', '-shm']) rmSync(project.path(`spine.db${ending}`), { force: true });
    renameSync(project.path('copy.db'), project.path('spine.db'));
    await drill.serve('spine.db');
    await drill.work();
    const lost = await expectRestored(drill, { fromAt, untilAt });
    console.log(
      `backup under load: ${drill.started.length} runs acknowledged, ${lost} of them after the copy and lost`,
    );
  }, 120_000);
});
