import { Agent, request } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { z } from 'zod';

/** The fewest calls that give a container in which a command ran: what a box is compared with. Plain HTTP, nothing of ours. */
export interface RawDocker {
  /** `create`, `start`, one exec and its exit code; answers the container's id. */
  createStartExec(name: string, body: object, command: readonly string[]): Promise<string>;
  /** A command on a terminal of its own: two calls, and the stream of its bytes. */
  openTerminal(containerId: string, command: readonly string[], environment: readonly string[]): Promise<Duplex>;
  exists(name: string): Promise<boolean>;
  idOf(name: string): Promise<string>;
  removeByForce(id: string): Promise<void>;
  /** Everything that carries the label. */
  removeAll(label: string): Promise<void>;
  close(): void;
}

const Created = z.object({ Id: z.string() });
const Ended = z.object({ ExitCode: z.literal(0) });
const api = '/v1.41';

export function createRawDocker(dockerHost: string | undefined): RawDocker {
  const agent = new Agent({ keepAlive: true });
  const where = dockerAddressOf(dockerHost);

  function ask(method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
    const payload = body === undefined ? '' : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const headers = {
        host: 'docker',
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(payload),
      };
      const call = request({ ...where, agent, method, path: api + path, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
        answer.on('error', reject);
      });
      call.on('error', reject);
      call.end(payload);
    });
  }

  function hijack(path: string, body: object): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      const headers = { host: 'docker', 'content-type': 'application/json', connection: 'Upgrade', upgrade: 'tcp' };
      const call = request({ ...where, agent: false, method: 'POST', path: api + path, headers });
      call.on('upgrade', (_, stream, head) => {
        if (head.length > 0) stream.unshift(head);
        if (stream instanceof Socket) stream.setNoDelay(true);
        resolve(stream);
      });
      call.on('response', (answer) => reject(new Error(`the engine answered ${path} with ${answer.statusCode}`)));
      call.on('error', reject);
      call.end(JSON.stringify(body));
    });
  }

  async function sure(method: string, path: string, body?: object): Promise<string> {
    const { status, text } = await ask(method, path, body);
    if (status >= 400) throw new Error(`the engine answered ${method} ${path} with ${status}: ${text}`);
    return text;
  }

  return {
    async createStartExec(name, body, command) {
      const created = await sure('POST', `/containers/create?name=${name}`, body);
      const { Id: id } = Created.parse(JSON.parse(created));
      await sure('POST', `/containers/${id}/start`);
      const execBody = { Cmd: command, AttachStdout: true, AttachStderr: true, Tty: false };
      const exec = Created.parse(JSON.parse(await sure('POST', `/containers/${id}/exec`, execBody)));
      await sure('POST', `/exec/${exec.Id}/start`, { Detach: false, Tty: false });
      Ended.parse(JSON.parse(await sure('GET', `/exec/${exec.Id}/json`)));
      return id;
    },
    async openTerminal(containerId, command, environment) {
      const attached = { AttachStdin: true, AttachStdout: true, AttachStderr: true, Tty: true };
      const execBody = { ...attached, Cmd: command, Env: environment };
      const exec = Created.parse(JSON.parse(await sure('POST', `/containers/${containerId}/exec`, execBody)));
      return await hijack(`/exec/${exec.Id}/start`, { Detach: false, Tty: true });
    },
    async exists(name) {
      const { status, text } = await ask('GET', `/containers/${name}/json`);
      if (status !== 200 && status !== 404) throw new Error(`the engine answered inspect with ${status}: ${text}`);
      return status === 200;
    },
    async idOf(name) {
      return Created.parse(JSON.parse(await sure('GET', `/containers/${name}/json`))).Id;
    },
    async removeByForce(id) {
      await sure('DELETE', `/containers/${id}?force=true`);
    },
    async removeAll(label) {
      const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
      const listed = await sure('GET', `/containers/json?all=true&filters=${filters}`);
      for (const { Id } of z.array(Created).parse(JSON.parse(listed))) await this.removeByForce(Id);
    },
    close: () => agent.destroy(),
  };
}

/** Where node:http finds the engine; undefined: on its usual socket. */
export function dockerAddressOf(
  dockerHost = 'unix:///var/run/docker.sock',
): { socketPath: string } | { host: string; port: string } {
  if (dockerHost.startsWith('unix://')) return { socketPath: dockerHost.slice('unix://'.length) };
  const { hostname, port } = new URL(dockerHost);
  return { host: hostname, port: port || '2375' };
}
