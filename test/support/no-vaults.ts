import type { HomeVaults } from '../../controller/src/store/home-vaults.ts';
import { fakePort } from './fake-port.ts';

/** For tests in which nobody has a vault. */
export const noVaults: HomeVaults = fakePort<HomeVaults>({});
