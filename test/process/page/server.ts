/**
 * The host application: its own session in a cookie, the page rendered on the server, and the spine beside it. Says on its
 * standard output which streams are open, for the test to count.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { createElement as h, type FunctionComponent, StrictMode } from 'react';
import { renderToString } from 'react-dom/server';
import { createSpine, type PagesOptions } from 'eventspine';
import { type Authorize, expressHandler } from 'eventspine/mount';
import { sqlite } from 'eventspine/sqlite';
import { app } from './spine.js';
import { LetterPage } from './view.js';
import { ReviewPage } from './review-view.js';

const [file = '', port = '0', bundle = ''] = process.argv.slice(2);

const authorize: Authorize = (request) => {
  const cookie = request.headers.get('cookie') ?? '';
  const user = /(?:^|; )user=(\w+)/.exec(cookie)?.[1];
  const role = /(?:^|; )role=(\w+)/.exec(cookie)?.[1];
  return user === undefined ? null : { tenant: 'letters', user, roles: role === undefined ? [] : [role] };
};

const spine = createSpine(app, { store: sqlite({ file }), engine: { sessionDeadMs: 2_000, sessionBeatMs: 200 } });
const options: PagesOptions = { basePath: '/spine', authorize, start: ['letter', 'review'], approvals: true };
const spinePages = expressHandler(spine, options);
const { upgrade } = spine.pages(options);

function html(page: FunctionComponent): string {
  const view = renderToString(h(StrictMode, null, h(page)));
  return `<!doctype html><meta charset="utf-8"><title>A letter</title><link rel="icon" href="data:,">
<style>body { font: 16px sans-serif; margin: 2rem } #values { display: none }</style>
<div id="root">${view}</div><script type="module" src="/page.js"></script>`;
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').replace(/\?.*$/, '');
}

const server = createServer((request, response) => {
  const path = pathOf(request);
  if (path.startsWith('/spine/')) {
    if (path.endsWith('/stream')) {
      console.log(`stream opened ${request.headers['last-event-id'] === undefined ? 'anew' : 'resumed'}`);
      response.once('close', () => console.log('stream closed'));
    }
    spinePages(request, response);
  } else if (path === '/page.js') {
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(readFileSync(bundle));
  } else if (path === '/' || path === '/review') {
    response.writeHead(200, { 'content-type': 'text/html' }).end(html(path === '/' ? LetterPage : ReviewPage));
  } else response.writeHead(404).end();
});

server.on('upgrade', (request, socket, head) => {
  console.log('socket opened');
  upgrade(request, socket, head);
});

await spine.open();
server.listen(Number(port), '127.0.0.1', () => console.log('ready'));
