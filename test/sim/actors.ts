import type { UserName } from '#shared/identity.ts';
import type { Random } from './random.ts';
import { leaseId, type Member, type World } from './world.ts';

/** What users, agent jobs and operators do, in virtual time, until told to go home. */
export class Actors {
  private readonly world: World;
  private readonly random: Random;
  private readonly tell: (what: string) => void;
  /** people begin things by themselves */
  private busy = true;
  private going = true;
  private made = 0;
  private readonly holding = new Set<{ user: UserName; id: string; over: boolean }>();
  private readonly sockets = new Set<{ close: () => void }>();

  constructor(world: World, tell: (what: string) => void) {
    this.world = world;
    this.random = world.random.fork();
    this.tell = tell;
  }

  start(): void {
    for (const user of this.world.users) this.next(user);
  }

  /** Nobody begins anything new; what goes on goes on. */
  calmDown(): void {
    this.busy = false;
  }

  /** Everybody lets go. */
  goHome(): void {
    this.busy = false;
    this.going = false;
    for (const held of this.holding) held.over = true;
    for (const socket of this.sockets) socket.close();
  }

  /** From now on this user wants a box until `goHome`. */
  hold(user: UserName): void {
    void this.job(user, 3_600_000);
  }

  private next(user: UserName): void {
    this.world.scheduler.after(this.random.int(1_000, 30_000), () => {
      if (!this.busy) return;
      this.act(user);
      this.next(user);
    });
  }

  private act(user: UserName): void {
    const drawn = this.random.next();
    if (drawn < 0.35) void this.job(user, this.random.int(3_000, 90_000));
    else if (drawn < 0.75) this.terminal(user);
    else if (drawn < 0.8) void this.wish(user, 'reap');
    else if (drawn < 0.84) void this.wish(user, 'recreate');
    else if (drawn < 0.87) void this.wish(user, 'delete');
    else if (drawn < 0.9) void this.adopt(user);
  }

  /** As the SDK and agent jobs do: take, renew at a third of the ttl, take again what was lost, give back. */
  private async job(user: UserName, forMs: number): Promise<void> {
    const { world } = this;
    const ttlMs = this.random.pick([10_000, 30_000, 60_000]);
    this.made += 1;
    const held = { user, id: `job-${this.made}`, over: false };
    const id = leaseId(held.id);
    this.holding.add(held);
    this.tell(`${user}'s job ${id} begins, for ${Math.round(forMs / 1_000)} s`);
    const endsAt = world.scheduler.now() + forMs;
    let taken = false;
    while (!held.over && world.scheduler.now() < endsAt) {
      try {
        if (!taken) {
          const reply = await world.store.take({ user, id, kind: 'job', holder: 'agent', ttlMs, class: null });
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

  private terminal(user: UserName): void {
    const alive = this.world.gateways.filter((member) => member.process.isAlive() && member.gateway !== null);
    if (alive.length === 0) return;
    const member: Member = this.random.pick(alive);
    this.made += 1;
    const session = `session-${this.made}-of-${user}`;
    const socket = member.gateway?.connect(user, session) ?? null;
    if (socket === null) return;
    this.sockets.add(socket);
    this.tell(`${user} opens a terminal at ${member.process.name}`);
    let presses = this.random.int(0, 12);
    const press = (): void => {
      if (!this.going || presses === 0 || socket.closed !== null) {
        if (this.going && this.random.chance(0.5)) socket.type('exit\n');
        else socket.close(1000, 'closed by its user');
        this.sockets.delete(socket);
        return;
      }
      presses -= 1;
      socket.type('x');
      this.world.scheduler.after(this.random.int(200, 20_000), press);
    };
    this.world.scheduler.after(this.random.int(500, 8_000), press);
  }

  private async wish(user: UserName, wish: 'reap' | 'recreate' | 'delete'): Promise<void> {
    this.tell(`an operator asks to ${wish} the box of ${user}`);
    await this.world.store.wish(user, { wish }, 'operator').catch(() => {});
  }

  private async adopt(user: UserName): Promise<void> {
    const box = this.world.boxOf(user);
    if (box === undefined || box.blueprint.installation === this.world.installation) return;
    this.tell(`an operator allows the container in ${user}'s way to be replaced`);
    const atOnce = this.random.chance(0.5);
    await this.world.store.wish(user, { wish: 'adopt', containerId: box.id, atOnce }, 'operator').catch(() => {});
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
