import { askClock, clockFinding } from '#shared/clock-skew.ts';
import { type DoctorReport, type Finding, ok, warning } from '#shared/finding.ts';
import { version } from '#shared/version.ts';
import type { ApiClient } from '../../sdk/api-client.ts';
import { ApiRefusal } from '../../sdk/errors.ts';

/** What the controller finds where it runs; null where this token may not ask, or the controller is older than the question. */
export async function askController(
  client: Pick<ApiClient, 'doctor'>,
  signal: AbortSignal,
): Promise<{ report: DoctorReport | null; findings: Finding[] }> {
  try {
    const report = await client.doctor(signal);
    return { report, findings: [ofVersion(report)] };
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    const { code, detail } = error.problem;
    if (code === 'role-too-low') {
      const mend = 'use a token of role admin';
      return { report: null, findings: [warning('controller', 'not checked where it runs: this token may not', mend)] };
    }
    if (code !== 'route-unknown') throw error;
    return { report: null, findings: [warning('controller', `not checked where it runs: ${detail}`, 'upgrade it')] };
  }
}

/** Of a question that is answered quickly. */
export async function checkClock(client: Pick<ApiClient, 'reconciler'>, signal: AbortSignal): Promise<Finding> {
  const asked = await askClock(Date.now, async () => (await client.reconciler(signal)).now);
  return clockFinding('Redis', asked, 'the one of this machine');
}

function ofVersion(report: DoctorReport): Finding {
  if (report.version === version) return ok('version', `${version}, the same as the controller's`);
  const found = `this command is of version ${version}, the controller of ${report.version}`;
  return warning('version', found, 'use the command of the same version: not all of it may fit');
}
