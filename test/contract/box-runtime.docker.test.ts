import { boxRuntimeContract } from './box-runtime.ts';
import { boxRuntimeStates } from './box-runtime-states.ts';
import { makeDockerHarness } from './docker-harness.ts';

boxRuntimeContract('the Docker runtime', makeDockerHarness);
boxRuntimeStates('the Docker runtime', makeDockerHarness);
