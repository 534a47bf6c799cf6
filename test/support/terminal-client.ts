import { randomBytes } from 'node:crypto';
import { TerminalTokenReply } from '#shared/api-schemas.ts';
import { type ConnectOptions, open, type TestClient } from '../gateway/test-client.ts';
import type { ControllerProcess } from './controller-process.ts';

/** A terminal with a shell at its other end. */
export interface Shell extends TestClient {
  /** Runs one command line, and answers its exit code and what it printed. */
  run(command: string): Promise<{ code: number; output: string }>;
  /** Closes the socket, as a tab that is closed does. */
  detach(): Promise<void>;
}

/** Asks the controller for a token and opens a terminal with it: what a browser's page does. Does not wait for the shell. */
export async function openTerminal(
  controller: Pick<ControllerProcess, 'ask'>,
  user: string,
  options: Pick<ConnectOptions, 'size' | 'traceparent' | 'ca'> = {},
): Promise<Shell> {
  const { json } = await controller.ask('POST', `/v1/boxes/${user}/terminal-tokens`, {});
  const { token, url } = TerminalTokenReply.parse(json);
  const client = await open({ ...options, port: Number(new URL(url).port), token });
  return {
    ...client,
    async run(command) {
      // The echo of what is typed holds the format, only the output the mark itself.
      const mark = randomBytes(4).toString('hex');
      client.type(`printf '<%s<' ${mark}; ${command}; printf '>%s:%d>' ${mark} $?\n`);
      const whole = new RegExp(`<${mark}<(.*)>${mark}:(\\d+)>`, 's');
      await client.sees(whole);
      const [, output = '', code] = whole.exec(client.text()) ?? [];
      return { code: Number(code), output: output.replaceAll('\r\n', '\n').trim() };
    },
    async detach() {
      client.socket.close(1000);
      await client.closed;
    },
  };
}

/** As `openTerminal`, with the shell there. */
export async function openShell(
  controller: Pick<ControllerProcess, 'ask'>,
  user: string,
  options: Pick<ConnectOptions, 'size' | 'ca'> = {},
): Promise<Shell> {
  const shell = await openTerminal(controller, user, options);
  await shell.message('hello', 0);
  return shell;
}
