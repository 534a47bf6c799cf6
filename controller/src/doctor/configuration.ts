import { type Finding, ok, warning } from '#shared/finding.ts';
import { isThisMachine } from '#shared/this-machine.ts';
import type { Check, DoctorConfig } from './check.ts';

const check = 'configuration';

export const configurationCheck: Check = {
  name: check,
  looksAt:
    'What this controller warned of when it started (unknown, legacy and weak variables), and public addresses without TLS that are not this machine.',
  run: async ({ config }) => configurationFindings(config),
};

export function configurationFindings(
  config: Pick<DoctorConfig, 'warnings' | 'publicWsUrl' | 'publicUrl'>,
): readonly Finding[] {
  const found = config.warnings.map((line) => warning(check, line, 'mend it in the environment, and start anew'));
  found.push(...withoutTls('SPOON_PUBLIC_WS_URL', config.publicWsUrl, 'wss://'));
  found.push(...withoutTls('SPOON_PUBLIC_URL', config.publicUrl, 'https://'));
  return found.length > 0 ? found : [ok(check, 'nothing to warn of')];
}

function withoutTls(variable: string, url: string | null, wanted: string): Finding[] {
  const parsed = url === null ? null : new URL(url);
  if (parsed === null || !['ws:', 'http:'].includes(parsed.protocol) || isThisMachine(parsed.hostname)) return [];
  const told = `${variable} is ${parsed.origin}: tokens and what is typed pass the network as plain text`;
  return [warning(check, told, `put a proxy with a certificate before it, and use ${wanted}`)];
}
