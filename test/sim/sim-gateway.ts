import { createBoxStore } from '#shared/box-store.ts';
import type { Keys, UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import type { TerminalClaims } from '#shared/terminal-claims.ts';
import { noSpan } from '#shared/tracing.ts';
import { TerminalClient } from '../../gateway/src/client.ts';
import { protocolDialect } from '../../gateway/src/dialect.ts';
import { endedBy } from '../../gateway/src/ending.ts';
import type { BoxExec } from '../../gateway/src/exec/port.ts';
import { StartQueue } from '../../gateway/src/exec/start-queue.ts';
import { defaultLimits } from '../../gateway/src/limits.ts';
import { GatewayMeter } from '../../gateway/src/metrics/gateway-meter.ts';
import { ReapNews } from '../../gateway/src/last-reap.ts';
import { Registration } from '../../gateway/src/registration.ts';
import { RingBudget } from '../../gateway/src/ring-budget.ts';
import type { SessionDeps } from '../../gateway/src/session.ts';
import { Sessions } from '../../gateway/src/sessions.ts';
import { openStatusFeed } from '../../gateway/src/status-feed.ts';
import type { SimProcess } from './sim-process.ts';
import { SimSocket } from './sim-socket.ts';
import type { Random } from './random.ts';

export interface SimGateway {
  /** A client connects; its session runs until one of the two ends it. Null = the gateway has no place for it. */
  connect(user: UserName, session: string): SimSocket | null;
  /** A token comes: whether its id is let in, as far as Redis says. Never rejects. */
  spend(jti: string): Promise<boolean>;
  drain(): Promise<void>;
}

/** A client says hello so long after it was let in, at most. */
const helloWithinMs = 50;
/** As long as the gateway has its tokens remembered. */
const tokenMs = 120_000;

/** The gateway's sessions and leases as `gateway.ts` wires them, without sockets of a network and without tokens. */
export async function startSimGateway(options: {
  process: SimProcess;
  redis: RedisPort;
  exec: BoxExec;
  keys: Keys;
  log: Logger;
  random: Random;
}): Promise<SimGateway> {
  const { process, redis, exec, keys, log, random } = options;
  const { clock, name } = process;
  const limits = defaultLimits;
  const store = createBoxStore({ redis, keys, policies: { '*': [0, 0] }, defaultClass: 'default' });
  let onGap = (): void => {};
  const feed = await openStatusFeed(store, log, () => onGap());
  const [starts, screens] = [new StartQueue(limits.startsAtOnce), new StartQueue(limits.screensAtOnce)];
  const terminalOf: SessionDeps['terminalOf'] = () => ({ persist: 'none', record: 'off', attachedIdleMs: 28_800_000 });
  const news = new ReapNews();
  const deps = {
    store,
    feed,
    clock,
    random: () => random.next(),
    limits,
    log,
    exec,
    commands: null,
    starts,
    screens,
    rings: new RingBudget(limits.ringsBytes),
    gateway: name,
    terminalOf,
    environment: () => Promise.resolve({ variables: {}, unreadable: [] }),
    recordings: null,
    news,
    meter: new GatewayMeter(),
  };
  const sessions = new Sessions(deps);
  const record = { id: name, address: `ws://${name}`, fingerprint: 'same' };
  const registration = new Registration({ store, clock, limits, log, sessions, gateway: record });
  onGap = () => {
    sessions.recordAgain();
    void registration.now();
  };
  void registration.start();

  return {
    connect(user, session) {
      const claims = { user, session, mode: 'rw', jti: session, exp: 0 } as TerminalClaims;
      const socket = new SimSocket();
      try {
        sessions.mustHavePlace(claims);
      } catch {
        return null;
      }
      const size = { cols: 80, rows: 24 };
      const client = new TerminalClient(socket.asWebSocket(), null, protocolDialect, size, deps);
      // Some say their size with their token: their shells do not wait for them.
      const hasCome = sessions.expect(claims, random.next() < 0.5 ? size : null, noSpan);
      // As its hello comes: some time after it was let in.
      clock.after(random.next() * helloWithinMs, () => {
        void sessions
          .enter(claims, client, false)
          .catch(() => socket.terminate())
          .finally(hasCome);
      });
      return socket;
    },
    spend: (jti) => store.useToken(jti, tokenMs).catch(() => false),
    async drain() {
      sessions.close(endedBy('restarting'));
      await sessions.empty();
      await registration.stop();
      await feed.close();
    },
  };
}
