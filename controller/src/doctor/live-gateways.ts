import type { BoxStore, GatewayRecord } from '#shared/box-store.ts';

/** Whoever serves terminals now; those that are gone stay listed for a day. */
export async function liveGateways(store: Pick<BoxStore, 'gateways'>): Promise<GatewayRecord[]> {
  const { now, gateways } = await store.gateways();
  return gateways.filter(({ expiresAt }) => expiresAt > now);
}
