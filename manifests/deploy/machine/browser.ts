import { installPackages, whyNoInstall } from './apt.ts';
import { which } from './command.ts';
import { say, type Step } from './steps.ts';

/** As Debian, Ubuntu and Google name it. */
const programs = ['chromium', 'chromium-browser', 'google-chrome'];

/** For the tests of pages. Where there is none and none can be installed, they are skipped, which is told here and counted at the end. */
export async function ensureBrowser(mayInstall: boolean, step: Step): Promise<void> {
  if (programs.every((program) => which(program) === undefined)) {
    const why = mayInstall ? whyNoInstall() : '--no-install forbids it';
    if (why !== undefined) {
      step.done(`none, and ${why}: tests in a browser are skipped; install the package chromium to run them`);
      return;
    }
    say('    no browser here: installing chromium with apt-get');
    await installPackages(['chromium'], step);
  }
  step.done(programs.map(which).find((path) => path !== undefined) ?? '');
}
