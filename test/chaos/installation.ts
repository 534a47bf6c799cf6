import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { type ControllerProcess, type ControllerWorld, createControllerWorld } from '../support/controller-process.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { createOwnEngine, type OwnEngine } from '../support/own-engine.ts';
import { freePort } from '../support/redis.ts';

/** One process of the installation, through all its lives. */
export interface Slot<Process> {
  readonly name: string;
  running: Process | null;
  stopped: boolean;
}

export interface ChaosInstallation {
  readonly engine: OwnEngine;
  readonly world: ControllerWorld;
  readonly docker: Docker;
  readonly controllers: readonly Slot<ControllerProcess>[];
  readonly gateways: readonly (Slot<GatewayProcess> & { readonly port: number })[];
  startController(slot: Slot<ControllerProcess>): Promise<void>;
  startGateway(slot: Slot<GatewayProcess> & { readonly port: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Two controllers, two gateways, a Redis and an engine of their own: nothing that is broken here is anybody else's. */
export async function createChaosInstallation(): Promise<ChaosInstallation> {
  const engine = await createOwnEngine();
  const world = await createControllerWorld(engine.address);
  const docker = await engine.connect();
  const settings = { SPOON_AGENT_BOX_IDLE_MS: '20000', SPOON_RESYNC_MS: '5000' };
  const controllers = [1, 2].map((number) => ({ name: `controller-${number}`, running: null, stopped: false }));
  const ports = [await freePort(), await freePort()];
  const gateways = ports.map((port, index) => ({ name: `gateway-${index + 1}`, port, running: null, stopped: false }));

  async function startController(slot: Slot<ControllerProcess>): Promise<void> {
    slot.running = await world.startController(settings);
  }
  async function startGateway(slot: Slot<GatewayProcess> & { readonly port: number }): Promise<void> {
    slot.running = await startGatewayProcess(world.environment, slot.port);
  }

  for (const slot of controllers) await startController(slot);
  for (const slot of gateways) await startGateway(slot);
  return {
    engine,
    world,
    docker,
    controllers,
    gateways,
    startController,
    startGateway,
    async [Symbol.asyncDispose]() {
      for (const slot of gateways as Slot<GatewayProcess>[]) await slot.running?.kill();
      for (const slot of controllers as Slot<ControllerProcess>[]) await slot.running?.kill();
      await world[Symbol.asyncDispose]().catch(() => {});
      await engine[Symbol.asyncDispose]();
      await rm(join(world.docker.workdir), { recursive: true, force: true });
    },
  };
}
