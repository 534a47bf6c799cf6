import { everybody, type Injector, nothing, type Strike, type Struck } from './strike.ts';
import type { Member } from './world.ts';

/** What happens to controllers and gateways. */
export const onProcess = {
  'kill-controller': (strike) => killed(strike, strike.controller),
  'kill-gateway': (strike) => killed(strike, strike.gateway),
  'stop-controller': (strike) => stopped(strike, strike.controller),
  'stop-gateway': (strike) => stopped(strike, strike.gateway),
  'pause-controller': (strike) => paused(strike, strike.controller),
  'pause-gateway': (strike) => paused(strike, strike.gateway),
} satisfies Record<string, Injector>;

function killed({ world, fault }: Strike, member: Member): Struck {
  const { name } = member.process;
  if (!member.process.isAlive()) return nothing(`${name} is dead already`);
  world.kill(member);
  const { life } = member;
  world.scheduler.after(fault.forMs, () => {
    if (!member.process.isAlive() && member.life === life) void world.start(member);
  });
  return everybody(`${name} is killed and started again ${fault.forMs / 1_000} s later`);
}

/** As `docker stop` does: told first, killed where it has not ended in its time. */
function stopped({ world, fault }: Strike, member: Member): Struck {
  const { name } = member.process;
  if (!member.process.isAlive()) return nothing(`${name} is dead already`);
  const { life } = member;
  void member.stop();
  world.scheduler.after(Math.max(fault.forMs, 1_000), () => {
    if (member.life !== life) return;
    world.kill(member);
    void world.start(member);
  });
  return everybody(`${name} is told to stop and started again`);
}

function paused({ fault, forS }: Strike, { process }: Member): Struck {
  if (!process.isAlive()) return nothing(`${process.name} is dead`);
  process.pause(fault.forMs);
  return everybody(`${process.name} stands still ${forS}`);
}
