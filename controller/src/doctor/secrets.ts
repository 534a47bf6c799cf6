import { failure, type Finding, ok, warning } from '#shared/finding.ts';
import { secretFingerprint } from '#shared/terminal-token.ts';
import type { Check, CheckDeps, DoctorConfig } from './check.ts';
import { liveGateways } from './live-gateways.ts';

const shortestLength = 16;
const fewestCharacters = 8;
/** What stands in examples, and is never changed. */
const ofAnExample =
  /change[-_ ]?me|replace[-_ ]?me|example|placeholder|your[-_ ]|insert[-_ ]|xxxxxx|^<.*>$|^(secret|password|token|test|dev|admin)[-_ 0-9]*$|^(0123456789|1234567890|abcdef)/i;
const howToMake = 'make a new one: `openssl rand -hex 32`';

export const secretsCheck: Check = {
  name: 'secrets',
  looksAt:
    'The internal token, the terminal secret and the encryption key are there, are long, are no examples; the encryption key is not one of the others. No secret is shown.',
  async run({ config }) {
    const weak = weakSecrets(config);
    return weak.length > 0 ? weak : [ok('secrets', 'all are there, long, and no examples')];
  },
};

export const terminalSecretCheck: Check = {
  name: 'terminal secret',
  looksAt: 'The leading controller and every gateway have the terminal secret of this controller.',
  needsRedis: true,
  run: sameEverywhere,
};

/** None where nothing speaks against any of them. */
export function weakSecrets(config: DoctorConfig): readonly Finding[] {
  const { internalToken, terminalSecret } = config;
  return [
    ...weaknesses('SPOON_AGENT_WORKER_INTERNAL_TOKEN', internalToken),
    // Without one of its own, it is the token.
    ...(terminalSecret === internalToken ? [] : weaknesses('SPOON_AGENT_TERMINAL_SECRET', terminalSecret)),
    ...encryption(config),
  ];
}

/** Why a secret is none; null where nothing speaks against it. */
export function weaknessOf(secret: string): { isExample: boolean; why: string } | null {
  if (ofAnExample.test(secret)) return { isExample: true, why: 'is an example that anybody can read' };
  if (secret.length < shortestLength) return { isExample: false, why: `is shorter than ${shortestLength} characters` };
  if (new Set(secret).size < fewestCharacters) return { isExample: false, why: 'is made of a few characters only' };
  return null;
}

function weaknesses(variable: string, secret: string): Finding[] {
  const weakness = weaknessOf(secret);
  if (weakness === null) return [];
  const tell = weakness.isExample ? failure : warning;
  return [tell('secrets', `${variable} ${weakness.why}`, howToMake)];
}

function encryption({ encryptionKey, internalToken, terminalSecret }: DoctorConfig): Finding[] {
  const variable = 'SPOON_ENCRYPTION_KEY (or INSTANCE_SECRET)';
  if (encryptionKey === null) {
    const mend = `${howToMake}, and keep it: what it encrypted is lost without it`;
    return [failure('secrets', `${variable} is missing: nothing can be kept in the vault`, mend)];
  }
  const shared = encryptionKey === internalToken || encryptionKey === terminalSecret;
  const found = `${variable} is also a token's secret: who may ask the API could read the vault`;
  return [...weaknesses(variable, encryptionKey), ...(shared ? [warning('secrets', found, howToMake)] : [])];
}

/** Two that differ refuse each other's terminals, each for good reason. */
async function sameEverywhere({ config, leaderStore, store }: CheckDeps): Promise<Finding[]> {
  const check = terminalSecretCheck.name;
  const mend = 'give all processes the same SPOON_AGENT_TERMINAL_SECRET (else SPOON_AGENT_WORKER_INTERNAL_TOKEN)';
  const own = secretFingerprint(config.terminalSecret);
  const ofLeader = await leaderStore.secretOfLeader();
  const gateways = await liveGateways(store);
  const others = [
    ...(ofLeader === '' || ofLeader === own ? [] : ['the leading controller']),
    ...gateways.filter(({ fingerprint }) => fingerprint !== own).map(({ address }) => `the gateway ${address}`),
  ];
  if (others.length === 0) return [ok(check, 'the same in all processes that are known')];
  const have = others.length === 1 ? 'has' : 'have';
  return [failure(check, `${others.join(', ')} ${have} another one: terminals are refused`, mend)];
}
