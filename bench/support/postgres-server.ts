/** One server of several over a PostgreSQL, in a process of its own: `postgres-server.ts <url> <schema>`; tells its URL. */
import { createSpine } from 'eventspine';
import { postgres } from 'eventspine/postgres';
import { app } from './soak-app.js';

const [, , url = '', schema = 'eventspine'] = process.argv;
const spine = createSpine(app, {
  store: postgres({ url, schema }),
  worker: false,
  server: {
    port: 0,
    // Whoever asks says for whom.
    authorize: (request) => ({
      tenant: request.headers.get('x-tenant') ?? 'default',
      user: 'bench',
      roles: ['operator', 'worker'],
    }),
  },
});
const listening = await spine.listen();
process.send?.(listening.url);
process.on('SIGTERM', () => void spine.close().then(() => process.exit(0)));
