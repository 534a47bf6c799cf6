import { createBoxStore } from '#shared/box-store.ts';
import { systemClock } from '#shared/clock.ts';
import { InstallationId, keysOf, UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { createLeaderStore } from '../../controller/src/store/leader-store.ts';
import { createStatusStore } from '../../controller/src/store/status-store.ts';
import { startGateway } from '../../gateway/src/gateway.ts';
import { defaultLimits } from '../../gateway/src/limits.ts';
import { createFakeExec } from '../gateway/fake-exec.ts';
import { simPort } from './sim-port.ts';
import { noneLeft, openSockets } from './sockets.ts';
import { must } from './target.ts';

export const fuzzSecret = 'a-secret-of-the-fuzzer-0123456789';
export const fuzzUsers = ['ann', 'bob', 'cid'].map((name) => UserName.parse(name));
const keys = keysOf(InstallationId.parse('fuzz'));

/** A whole gateway whose users all have a box that is ready. Closed, it must have left nothing. */
export async function openGateway() {
  const before = openSockets();
  const exec = createFakeExec();
  const redis = simPort();
  const store = createBoxStore({ redis, keys, policies: { '*': [1_800_000, 28_800_000] }, defaultClass: 'default' });
  const logged: string[] = [];
  const log = createLogger({ name: 'fuzz', level: 'error', destination: { write: (line) => void logged.push(line) } });
  const candidate = { token: 'leader', ttlMs: 86_400_000, holder: 'fuzz', fingerprint: '' };
  await createLeaderStore(redis, keys).take(candidate, 0);
  const status = createStatusStore({ redis, keys, policies: { '*': [0, 0] } });
  const body = {
    value: null,
    context: null,
    step: null,
    conditions: [],
    message: '',
    progress: null,
    observedGeneration: 1,
    lastReap: null,
    readyAt: null,
  };
  for (const user of fuzzUsers) {
    const commit = {
      user,
      version: 0,
      phase: 'ready',
      containerId: 'c1',
      containerGeneration: 1,
      keepUntil: 0,
      keepCause: '',
      body,
      intent: { kind: 'none' },
      events: [],
      mode: 'run',
    } as const;
    must((await status.commit('leader', commit)).ok, 'the world of this target is set up');
  }
  const limits = {
    ...defaultLimits,
    connectRates: { ...defaultLimits.connectRates, user: { burst: 1_000_000, perSecond: 1_000_000 } },
    graceMs: 50,
    placeGraceMs: 50,
    helloWithinMs: 1_000,
    autopsyMs: 100,
    restartMinMs: 5,
    sessionsPerUser: 500,
    sessionsPerGateway: 1_000,
  };
  const gateway = await startGateway({
    store,
    exec,
    clock: systemClock,
    log,
    limits,
    vaultKeyIds: [],
    secret: fuzzSecret,
    jobs: null,
    allowedOrigins: [],
    trustedProxies: [],
    bind: '127.0.0.1',
    port: 0,
    publicUrl: null,
    terminalOf: () => ({ persist: 'none', record: 'off', attachedIdleMs: 28_800_000 }),
    environment: () => Promise.resolve({ variables: {}, unreadable: [] }),
    recordings: null,
  });
  return {
    gateway,
    exec,
    async close() {
      await gateway.drain(5_000);
      must(gateway.sessions === 0, 'no session is left');
      must(
        exec.terminals.every(({ hangUps, now }) => hangUps > 0 || !now.running),
        'no shell is left',
      );
      must(logged.length === 0, `no defect was met: ${logged[0]}`);
      await noneLeft(before);
    },
  };
}
