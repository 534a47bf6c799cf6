import { boxRuntimeContract } from './box-runtime.ts';
import { makeDockerHarness } from './docker-harness.ts';

boxRuntimeContract('the Docker runtime', makeDockerHarness);
