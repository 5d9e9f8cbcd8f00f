/** The server of the benchmark of webhooks: `webhooks-server.ts <file>`; tells its URL to the parent. */
import { createSpine, defineApp, topic, webhook } from 'eventspine';
import { createClient } from 'eventspine/client';
import { sqlite } from 'eventspine/sqlite';

const [, , file = '', secret = ''] = process.argv;
const arrived = topic('arrived');
const app = defineApp({ topics: [arrived], webhooks: [webhook('github', { topic: arrived, scheme: 'github' })] });
const spine = createSpine(app, { store: sqlite({ file }), worker: false, server: { port: 0 } });
const { url } = await spine.listen();
await createClient({ url }).webhookSources.addSecret('github', secret);
process.send?.(url);
process.on('SIGTERM', () => void spine.close().then(() => process.exit(0)));
