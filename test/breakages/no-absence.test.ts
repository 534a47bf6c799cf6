import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '#shared/clock.ts';
import { connectDocker } from '#shared/docker.ts';
import { createLogger } from '#shared/log.ts';
import { createDockerRuntime } from '../../controller/src/runtime/docker-runtime.ts';
import { alice, installation } from '../support/box-facts.ts';

test('an engine that fails to show a container is no absence, though its list is empty', async () => {
  const workdir = await mkdtemp(join(tmpdir(), 'spoonbox-no-absence-'));
  const engine = createServer((request, response) => {
    const path = request.url ?? '';
    const answer = path.includes('/version') ? { ApiVersion: '1.41', MinAPIVersion: '1.12' } : [];
    response.statusCode = path.includes('/containers/spoon-box-') ? 500 : 200;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(answer));
  });
  engine.listen(0, '127.0.0.1');
  await once(engine, 'listening');
  try {
    const address = engine.address();
    if (typeof address !== 'object' || address === null) throw new Error('the engine has no port');
    const docker = await connectDocker(`tcp://127.0.0.1:${address.port}`);
    const log = createLogger({ name: 'test', level: 'silent' });
    const options = { docker, installation, workdir, hostWorkdir: workdir, clock: systemClock, log };
    const runtime = await createDockerRuntime(options);
    const { signal } = new AbortController();
    await expect(runtime.observe(alice, { thorough: true }, signal)).rejects.toMatchObject({ fault: { status: 500 } });
  } finally {
    engine.closeAllConnections();
    engine.close();
    await rm(workdir, { recursive: true, force: true });
  }
});
