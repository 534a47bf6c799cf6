import { installPackages, whyNoInstall } from './apt.ts';
import { which } from './command.ts';
import { say, type Step } from './steps.ts';

/** A program that some tests use; without it they are skipped, which is told here and counted at the end. */
export interface OptionalProgram {
  /** any of these */
  readonly programs: readonly string[];
  /** Debian's package of the first, and what its tests need besides */
  readonly debian: readonly string[];
  /** which tests are skipped without it */
  readonly tests: string;
}

/** As Debian, Ubuntu and Google name it. */
export const browser: OptionalProgram = {
  programs: ['chromium', 'chromium-browser', 'google-chrome'],
  debian: ['chromium', 'iproute2'],
  tests: 'tests in a browser',
};
export const nginx: OptionalProgram = {
  programs: ['nginx'],
  debian: ['nginx-light'],
  tests: 'tests behind nginx',
};
/** A real registry; a test starts its own. */
export const registry: OptionalProgram = {
  programs: ['docker-registry'],
  debian: ['docker-registry'],
  tests: 'tests with a registry',
};

/** By its older name, or as the plugin of `docker`, which runs by itself too. */
export const compose: OptionalProgram = {
  programs: [
    'docker-compose',
    '/usr/libexec/docker/cli-plugins/docker-compose',
    '/usr/lib/docker/cli-plugins/docker-compose',
    '/usr/local/lib/docker/cli-plugins/docker-compose',
  ],
  debian: ['docker-compose'],
  tests: 'tests of compose.yml',
};

export const programOf = ({ programs }: OptionalProgram): string | undefined =>
  programs.map(which).find((path) => path !== undefined);

export async function ensureOptional(optional: OptionalProgram, mayInstall: boolean, step: Step): Promise<void> {
  const { programs, debian, tests } = optional;
  if (programOf(optional) === undefined) {
    const why = mayInstall ? whyNoInstall() : '--no-install forbids it';
    if (why !== undefined) {
      step.done(`none, and ${why}: ${tests} are skipped; apt-get install ${debian.join(' ')} to run them`);
      return;
    }
    say(`    no ${programs[0]} here: installing ${debian.join(' ')} with apt-get`);
    await installPackages(debian, step);
  }
  step.done(programOf(optional) ?? '');
}
