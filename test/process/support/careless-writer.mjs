// The negative control: writes rows with a setting that does not keep them, and acknowledges them all the same.
// `careless-writer.mjs <file> <OFF|NORMAL>`. With `read`, prints what is there.
import { DatabaseSync } from '@photostructure/sqlite';

const [, , file, mode] = process.argv;
const database = new DatabaseSync(file);
database.exec('PRAGMA journal_mode=WAL; CREATE TABLE IF NOT EXISTS run(id TEXT PRIMARY KEY) STRICT');
if (mode === 'read') {
  for (const { id } of database.prepare('SELECT id FROM run').all()) console.log(`run ${id}`);
  console.log('end');
} else {
  // No checkpoint: it would sync what came before it, and hide the carelessness now and then.
  database.exec(`PRAGMA synchronous=${mode}; PRAGMA wal_autocheckpoint=0`);
  const insert = database.prepare('INSERT INTO run(id) VALUES (?)');
  console.log('ready');
  let i = 0;
  setInterval(() => {
    for (let j = 0; j < 20; j++) {
      const id = `run_${process.pid}_${i++}`;
      insert.run(id);
      console.log(`ack ${id}`);
    }
  }, 1);
}
