import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import { extname } from 'node:path';
import { TerminalTokenReply } from '#shared/api-schemas.ts';
import type { ControllerProcess } from '../support/controller-process.ts';

const root = new URL('../../', import.meta.url);
/** What a page may load, and where it is. */
const folders: Readonly<Record<string, string>> = {
  '/page/': 'test/e2e/page/',
  '/shared/src/': 'shared/src/',
  '/zod/': 'node_modules/zod/',
  '/xterm/': 'node_modules/@xterm/xterm/',
  '/addon-attach/': 'node_modules/@xterm/addon-attach/',
};
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.ts': 'text/javascript',
};

export interface Site {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * The web application that a test stands in for: serves pages, with TypeScript stripped of its types as Node does it, and asks the
 * controller for tokens, whose URL then leads over `gatewayPort`.
 */
export async function serveSite(controller: ControllerProcess, gatewayPort: number): Promise<Site> {
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://site');
    if (pathname === '/access') {
      const session = searchParams.get('session') || undefined;
      const path = `/v1/boxes/${searchParams.get('user')}/terminal-tokens`;
      const { json } = await controller.ask('POST', path, session === undefined ? {} : { session });
      const reply = TerminalTokenReply.parse(json);
      const url = new URL(reply.url);
      url.port = String(gatewayPort);
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ ...reply, url: url.href }));
      return;
    }
    const folder = Object.keys(folders).find((prefix) => pathname.startsWith(prefix));
    const type = types[extname(pathname)];
    if (folder === undefined || type === undefined) {
      response.writeHead(404).end();
      return;
    }
    const text = await readFile(new URL(folders[folder] + pathname.slice(folder.length), root), 'utf8');
    response.setHeader('content-type', `${type}; charset=utf-8`);
    response.end(pathname.endsWith('.ts') ? stripTypeScriptTypes(text) : text);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the site has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
