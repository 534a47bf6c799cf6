import { ofAccess } from './of-access.ts';
import { ofCapacity } from './of-capacity.ts';
import { ofController } from './of-controller.ts';
import { ofFilter } from './of-filter.ts';
import { ofGateway } from './of-gateway.ts';
import { ofScripts } from './of-scripts.ts';
import { ofVault } from './of-vault.ts';

/**
 * Breakages made by hand: one promise of the design each, broken by a change of one place, and the test that must turn red.
 * `text` occurs exactly once in its file, or the list has rotted (a short test says so on every run).
 */
export interface Breakage {
  /** what was done, as a sentence */
  readonly name: string;
  /** the promise that it breaks, in the words of the design */
  readonly promise: string;
  readonly file: string;
  readonly text: string;
  readonly replacement: string;
  readonly caughtBy: {
    readonly file: string;
    /** a part of the test's full name */
    readonly test: string;
  };
}

export const breakages: readonly Breakage[] = [
  ...ofScripts,
  ...ofController,
  ...ofAccess,
  ...ofGateway,
  ...ofFilter,
  ...ofVault,
  ...ofCapacity,
];
