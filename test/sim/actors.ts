import type { UserName } from '#shared/identity.ts';
import type { ActKind } from './fault-plan.ts';
import type { OpenTerminal } from './final-checks.ts';
import type { Random } from './random.ts';
import type { SimSocket } from './sim-socket.ts';
import { simVaults } from './sim-vaults.ts';
import { largeClass, leaseId, type Member, type World } from './world.ts';

/** A wish arrives within this time, or never. */
const setModeMs = 15_000;

/** What users, agent jobs and operators do, in virtual time, until told to go home. */
export class Actors {
  private readonly world: World;
  private readonly random: Random;
  private readonly tell: (what: string) => void;
  /** people of these do nothing before `hold` */
  private readonly idle: ReadonlySet<string>;
  /** people begin things by themselves */
  private busy = true;
  private going = true;
  private made = 0;
  private readonly holding = new Set<{ user: UserName; id: string; over: boolean }>();
  private readonly sockets = new Set<{ readonly user: UserName; readonly socket: SimSocket }>();

  constructor(world: World, tell: (what: string) => void, idle: ReadonlySet<string>) {
    this.world = world;
    this.idle = idle;
    this.random = world.random.fork();
    this.tell = tell;
  }

  start(): void {
    for (const user of this.world.users) this.next(user);
  }

  /** Nobody begins anything new; what goes on goes on. */
  calmDown(): void {
    this.busy = false;
    // An old copy of Redis may have brought a mode back.
    this.letRun();
  }

  /** Everybody lets go. */
  goHome(): void {
    this.busy = false;
    this.going = false;
    for (const held of this.holding) held.over = true;
    for (const { socket } of this.sockets) socket.close();
    // A pin that was given back may be there again: Redis lost its last second, or an old copy came back.
    for (const user of this.world.users) {
      void this.untilDone(() => this.world.store.release(user, leaseId('pin'), 'operator'));
    }
  }

  /** From now on this user wants a box, and a terminal at every gateway, until `goHome`. */
  hold(user: UserName): OpenTerminal[] {
    void this.job(user, 3_600_000);
    return this.world.gateways.flatMap((member) => {
      this.made += 1;
      const socket = member.gateway?.connect(user, `session-${this.made}-of-${user}`) ?? null;
      if (socket === null) return [];
      this.sockets.add({ user, socket });
      return [{ who: `${user} at ${member.process.name}`, socket }];
    });
  }

  /** What a plan wants done at a certain moment. Returns it as a sentence. */
  ask(user: UserName, act: ActKind, forMs: number): string {
    switch (act) {
      case 'come':
        if (this.busy) void this.job(user, Math.max(forMs, 3_000));
        return `somebody needs the box of ${user}`;
      case 'leave':
        for (const held of this.holding) if (held.user === user) this.letGo(held);
        for (const { user: of, socket } of this.sockets) if (of === user) socket.close();
        return `everybody lets go of the box of ${user}`;
      case 'ask-reap':
        void this.wish(user, 'reap');
        return `the box of ${user} is to be reaped`;
      case 'ask-recreate':
        void this.wish(user, 'recreate');
        return `the box of ${user} is to be made anew`;
      case 'ask-delete':
        void this.wish(user, 'delete');
        return `the box of ${user} is to be deleted`;
      case 'ask-drain':
      case 'ask-pause': {
        const mode = act === 'ask-drain' ? 'drain' : 'pause';
        this.setMode(mode, forMs);
        return `an operator lets the reconciler ${mode}`;
      }
      case 'ask-vault':
        void this.changeVault(user, forMs);
        return `a dotfile of ${user} is changed in the vault`;
      case 'ask-adopt': {
        const box = this.world.boxOf(user);
        if (box !== undefined) this.consent(user, box.id, forMs < 5_000);
        return `an operator allows that what is in the way of ${user}'s box is replaced`;
      }
    }
  }

  /** Another content each time; gone again where it is asked for a moment only. */
  private async changeVault(user: UserName, forMs: number): Promise<void> {
    const { vaults } = simVaults(this.world.api.redis, this.world.keys);
    this.made += 1;
    const file = { path: '.bashrc', mode: 0o644, content: Buffer.from(`change ${this.made}`) };
    const how = { by: 'operator' };
    const change = forMs < 3_000 ? vaults.removeFile(user, file.path, how) : vaults.putFile(user, file, how);
    await change.catch(() => {});
  }

  /** For a while; longer than the wish can be under way, for one that arrives after its end would stay. */
  private setMode(mode: 'drain' | 'pause', forMs: number): void {
    this.tell(`an operator sets the mode ${mode}`);
    this.world.store.setMode({ mode }, 'operator').catch(() => {});
    this.world.scheduler.after(Math.max(forMs, setModeMs), () => this.letRun());
  }

  private letRun(): void {
    void this.untilDone(() => this.world.store.setMode({ mode: 'run' }, 'operator'));
  }

  private letGo(held: { readonly user: UserName; readonly id: string; over: boolean }): void {
    held.over = true;
    // Its own next look may be a third of its ttl away.
    void this.untilDone(() => this.world.store.release(held.user, leaseId(held.id), 'agent'));
  }

  /** An operator allows this container to be replaced. */
  consent(user: UserName, containerId: string, atOnce: boolean): void {
    this.world.store.wish(user, { wish: 'adopt', containerId, atOnce }, 'operator').catch(() => {});
  }

  private next(user: UserName): void {
    // Now and then everybody is away for longer than an idle box is kept.
    const isAway = this.random.chance(0.25);
    this.world.scheduler.after(isAway ? this.random.int(40_000, 120_000) : this.random.int(1_000, 25_000), () => {
      if (!this.busy) return;
      const act = this.random.fork();
      if (!this.idle.has(user)) this.act(user, act);
      this.next(user);
    });
  }

  /** Draws from numbers of its own: who does nothing changes nothing for the others. */
  private act(user: UserName, random: Random): void {
    const drawn = random.next();
    if (drawn < 0.35) void this.job(user, random.int(3_000, 60_000), random);
    else if (drawn < 0.72) this.terminal(user, random);
    else if (drawn < 0.75) void this.spend(user, random);
    else if (drawn < 0.8) void this.wish(user, 'reap');
    else if (drawn < 0.84) void this.wish(user, 'recreate');
    else if (drawn < 0.87) void this.wish(user, 'delete');
    else if (drawn < 0.9) this.adopt(user, random);
    else if (drawn < 0.91) void this.pin(user, random);
    else if (drawn < 0.925) this.setMode(random.pick(['drain', 'pause']), random.int(5_000, 40_000));
  }

  /** As the SDK and agent jobs do: take, renew at a third of the ttl, take again what was lost, give back. */
  private async job(user: UserName, forMs: number, random: Random = this.random): Promise<void> {
    const { world } = this;
    const ttlMs = random.pick([15_000, 30_000, 60_000]);
    const boxClass = random.chance(0.1) ? largeClass.name : null;
    // Names come again: a lease that has ended is taken anew under the same id.
    const held = { user, id: `job-${random.int(1, 4)}`, over: false };
    const id = leaseId(held.id);
    this.holding.add(held);
    this.tell(`${user}'s job ${id} begins, for ${Math.round(forMs / 1_000)} s`);
    const endsAt = world.scheduler.now() + forMs;
    let taken = false;
    while (!held.over && world.scheduler.now() < endsAt) {
      try {
        if (!taken) {
          const reply = await world.store.take({ user, id, kind: 'job', holder: 'agent', ttlMs, class: boxClass });
          taken = reply.ok;
        } else {
          const renewal = await world.store.renew(user, id, ttlMs, { inputAgeMs: null, outputAgeMs: null });
          // A reap or a delete ends the job too; this one wants its box and takes a new lease.
          if (!renewal.ok) taken = false;
        }
      } catch {
        // Redis did not answer: try again sooner.
      }
      await this.pause(taken ? ttlMs / 3 : 1_000);
    }
    await this.untilDone(() => world.store.release(user, id, 'agent'));
    this.holding.delete(held);
    this.tell(`${user}'s job ${id} is over`);
  }

  private terminal(user: UserName, random: Random): void {
    const alive = this.world.gateways.filter((member) => member.process.isAlive() && member.gateway !== null);
    if (alive.length === 0) return;
    const member: Member = random.pick(alive);
    this.made += 1;
    const session = `session-${this.made}-of-${user}`;
    const socket = member.gateway?.connect(user, session) ?? null;
    if (socket === null) return;
    this.sockets.add({ user, socket });
    this.tell(`${user} opens a terminal at ${member.process.name}`);
    let presses = random.int(0, 12);
    const press = (): void => {
      if (!this.going || presses === 0 || socket.closed !== null) {
        if (this.going && random.chance(0.5)) socket.type('exit\n');
        else socket.close(1000, 'closed by its user');
        // Who typed `exit` into a shell that was not there yet has a terminal open still.
        return;
      }
      presses -= 1;
      socket.type('x');
      this.world.scheduler.after(random.int(200, 20_000), press);
    };
    this.world.scheduler.after(random.int(500, 8_000), press);
  }

  private async wish(user: UserName, wish: 'reap' | 'recreate' | 'delete'): Promise<void> {
    this.tell(`an operator asks to ${wish} the box of ${user}`);
    await this.world.store.wish(user, { wish }, 'operator').catch(() => {});
  }

  /** One token at every gateway at once, and again: a thief, or a browser that tries again. */
  private async spend(user: UserName, random: Random): Promise<void> {
    this.made += 1;
    const jti = `token-${this.made}-of-${user}`;
    this.tell(`somebody shows the token ${jti} at every gateway, twice`);
    for (let time = 0; time < 2; time += 1) {
      for (const { gateway } of this.world.gateways) void gateway?.spend(jti);
      await this.pause(random.int(0, 5_000));
    }
  }

  /** An operator pins a box, and a while later gives the pin back. */
  private async pin(user: UserName, random: Random): Promise<void> {
    this.tell(`an operator pins the box of ${user}`);
    const id = leaseId('pin');
    const lease = { user, id, kind: 'pin' as const, holder: 'operator', ttlMs: 3_600_000, class: null };
    await this.world.store.take(lease).catch(() => {});
    // Longer than a take can be under way: one that arrives after its release would stay.
    await this.pause(random.int(15_000, 60_000));
    await this.untilDone(() => this.world.store.release(user, id, 'operator'));
  }

  private adopt(user: UserName, random: Random): void {
    const box = this.world.boxOf(user);
    if (box === undefined || box.blueprint.installation === this.world.installation) return;
    this.tell(`an operator allows the container in ${user}'s way to be replaced`);
    this.consent(user, box.id, random.chance(0.5));
  }

  private async untilDone(work: () => Promise<unknown>): Promise<void> {
    for (let attempt = 0; attempt < 20; attempt += 1) {
      try {
        await work();
        return;
      } catch {
        await this.pause(2_000);
      }
    }
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.world.scheduler.after(ms, resolve));
  }
}
