import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { size } from './box-class.ts';
import { exitConfig, StartError } from './faults.ts';

/**
 * The configuration of both processes: environment variables, all problems told at once.
 * An empty value means the same as none. `describe` texts become the table in the documents.
 */

const port = z.coerce.number().int().min(1).max(65_535);
const durationMs = z.coerce
  .number()
  .int()
  .min(1_000)
  .max(365 * 86_400_000);
/** Of what a timer waits for: the runtime's end at 24 days, and fire at once beyond. */
const waitMs = durationMs.max(86_400_000);
/** A beat is a quarter of it, and 10 s without a beat count as distrust (`trust.ts`). A clock that jumps by more ends the lead. */
const leaderTtlMs = z.coerce.number().int().min(500).max(10_000);
const commaList = z.string().transform((list) =>
  list
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean),
);
/** Compared as a browser sends them: with a path, a slash at the end or a capital letter, none would ever match. */
const origins = commaList.refine((list) => list.every((part) => URL.parse(part)?.origin === part), {
  error: 'is a list of origins as browsers send them, such as https://spoon.example: no path, no slash at the end',
});
const wsUrl = z.url({ protocol: /^wss?$/ });
const httpUrl = z.url({ protocol: /^https?$/ });
const anyAddress = ['0.0.0.0', '::', '*'];
/** As Node's BlockList takes them: one address, or a network. */
const networks = commaList.refine(
  (list) => list.every((part) => z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]).safeParse(part).success),
  {
    error: 'is a list of addresses and networks, such as 10.1.2.3,172.16.0.0/12',
  },
);
const minSecretLength = 16;

/** Each variable with its check, its default and its line in the documents. */
export const fields = {
  SPOON_REDIS_URL: z
    .url({ protocol: /^rediss?$/ })
    .default('redis://127.0.0.1:6379')
    .describe('Redis that holds desired state and status'),
  SPOON_INSTALLATION_ID: z.string().optional().describe('overrides the id in {workdir}/.spoonbox-installation'),
  SPOON_AGENT_WORKDIR: z.string().default('./.spoonbox/work').describe('homes live in {workdir}/homes/{user}'),
  SPOON_AGENT_HOST_WORKDIR: z.string().optional().describe('the same directory as the Docker host sees it'),
  DOCKER_HOST: z.string().optional().describe('Docker engine: unix:///… or tcp://…; default /var/run/docker.sock'),
  DOCKER_CONFIG: z.string().optional().describe('folder of the logins for private registries; default ~/.docker'),
  SPOON_FILTER_SOCKET: z
    .string()
    .startsWith('/', { error: 'is an absolute path' })
    .optional()
    .describe("where the filter listens: the gateway's engine, without Docker's own socket"),
  SPOON_BOX_IMAGE: z.string().optional().describe("replaces the default class's image"),
  SPOON_AGENT_BOX_IDLE_MS: durationMs.optional().describe('replaces `idle.detached` of every class, in ms'),
  SPOON_AGENT_TERMINAL_IDLE_MS: z.string().optional().describe('legacy, without effect: box idle governs'),
  SPOON_CLASSES: z.string().optional().describe('folder of class files; default manifests/classes'),
  SPOON_AGENT_TERMINAL_SECRET: z.string().optional().describe('HMAC secret of terminal tokens; else the next one'),
  SPOON_LEGACY_TOKENS: z
    .stringbool()
    .default(false)
    .describe("whether terminal tokens in the shape of Spoon's own worker pass, at its paths; off without it"),
  SPOON_AGENT_WORKER_INTERNAL_TOKEN: z.string().optional().describe('bearer token of the API'),
  SPOON_ENCRYPTION_KEY: z.string().optional().describe('encrypts the vault'),
  INSTANCE_SECRET: z.string().optional().describe('encrypts the vault where SPOON_ENCRYPTION_KEY is not set'),
  SPOON_ENCRYPTION_KEY_PREVIOUS: commaList
    .optional()
    .describe('comma-separated earlier keys of the vault, only to open; `spoonbox vault rotate` makes them needless'),
  SPOON_PUBLIC_WS_URL: wsUrl.optional().describe('terminal URL that tokens are handed out with'),
  NEXT_PUBLIC_SPOON_AGENT_WORKER_WS_URL: wsUrl.optional().describe('the same, by its older name'),
  SPOON_ALLOWED_ORIGINS: origins.optional().describe('comma-separated origins whose pages may open terminals'),
  SPOON_BIND: z.string().default('127.0.0.1').describe('address that both processes listen on'),
  SPOON_TRUSTED_PROXIES: networks
    .optional()
    .describe(
      'comma-separated addresses and networks of proxies whose X-Forwarded-For is believed, beside those on this machine',
    ),
  SPOON_CONTROLLER_PORT: port.default(3922).describe('HTTP API'),
  SPOON_PUBLIC_URL: httpUrl
    .optional()
    .describe(
      'public base of the API and the console, for login links; default http://{SPOON_BIND}:{SPOON_CONTROLLER_PORT}',
    ),
  SPOON_API_REQUESTS_PER_S: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(1_000)
    .describe('requests to the API that each token may send in a second'),
  SPOON_GATEWAY_PORT: port.default(3921).describe('terminal WebSockets'),
  SPOON_LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])
    .default('info')
    .describe('pino level of the JSON lines on standard output'),
  SPOON_RESYNC_MS: waitMs.default(60_000).describe('how often every box is compared with one Docker list'),
  SPOON_LEADER_TTL_MS: leaderTtlMs.default(1_500).describe('term of the leading controller'),
  SPOON_WORKERS: z.coerce.number().int().min(1).max(256).default(32).describe('passes at once'),
  SPOON_MUTATIONS_PER_S: z.coerce.number().int().min(1).max(10_000).default(100).describe('Docker changes a second'),
  SPOON_BOX_MAX: z.coerce
    .number()
    .int()
    .min(0)
    .max(1_000_000)
    .default(0)
    .describe('the most boxes that may be there at once; who asks for another waits in line. 0: no limit'),
  SPOON_BOX_MEMORY: z
    .union([z.literal('0'), size], { error: 'is a whole number with a unit, such as 48GiB, or 0 for no limit' })
    .prefault('0')
    .describe(
      "the most memory that the boxes may use together, as the sum of their classes' caps, such as 48GiB. 0: no limit",
    ),
  SPOON_TERMINAL_GRACE_MS: waitMs
    .default(300_000)
    .describe('how long a terminal is kept for its user to come back after the connection was lost'),
  SPOON_OTLP_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(
      'OTLP/HTTP collector that traces are sent to, such as http://127.0.0.1:4318; without it nothing is traced',
    ),
  SPOON_DRAIN_MS: waitMs.default(20_000).describe('how long a process that was told to stop may take'),
};

/** Read by compose.yml and its overlays only: no process minds them. */
const composeFields: Readonly<Record<string, string>> = {
  SPOON_IMAGE: 'image of controller, gateway and filter; default spoonbox/server:latest',
  SPOON_ENV_FILE: 'the file that the processes read; default .env',
  SPOON_DOCKER_GID: 'group of the Docker socket, as `stat -c %g /var/run/docker.sock` prints it',
  SPOON_DOCKER_SOCKET: 'the Docker socket of this host; default /var/run/docker.sock',
  SPOON_STOP_GRACE:
    'how long Docker waits for a process to drain before it kills it, longer than SPOON_DRAIN_MS; default 30s',
  SPOON_TLS_CERTIFICATE: 'file of the certificate that nginx shows, with its chain, PEM',
  SPOON_TLS_KEY: 'file of its key, PEM',
  SPOON_HTTPS_PORT: 'port that nginx listens on; default 443',
  SPOON_SHARED_NETWORK: 'network of a proxy of yours, for compose.shared.yml',
};

/** What all boxes together may take; null = no limit. */
export interface Limits {
  readonly boxes: number | null;
  readonly memoryBytes: number | null;
}

export const noLimits: Limits = { boxes: null, memoryBytes: null };

export function isLimited({ boxes, memoryBytes }: Limits): boolean {
  return boxes !== null || memoryBytes !== null;
}

export interface Config {
  readonly redisUrl: string;
  readonly installationId: string | null;
  /** absolute, as this process sees it */
  readonly workdir: string;
  /** absolute, as the Docker host sees it */
  readonly hostWorkdir: string;
  readonly dockerHost: string | null;
  /** folder of Docker's `config.json` */
  readonly dockerConfig: string;
  readonly boxImage: string | null;
  readonly boxIdleMs: number | null;
  readonly classesDir: string;
  readonly terminalSecret: string;
  /** tokens and paths of `spoon-names.ts` pass, too */
  readonly legacyTokens: boolean;
  readonly internalToken: string;
  readonly encryptionKey: string | null;
  /** open the vault, and seal nothing; without `encryptionKey` they are of no use */
  readonly previousEncryptionKeys: readonly string[];
  /** null = the gateway's own address */
  readonly publicWsUrl: string | null;
  /** where browsers find the API and the console; no slash at the end */
  readonly publicUrl: string;
  /** of each token */
  readonly apiRequestsPerS: number;
  readonly allowedOrigins: readonly string[];
  readonly bind: string;
  /** addresses and networks (CIDR), beside the loopback */
  readonly trustedProxies: readonly string[];
  readonly controllerPort: number;
  readonly gatewayPort: number;
  readonly logLevel: string;
  readonly resyncMs: number;
  readonly leaderTtlMs: number;
  readonly workers: number;
  readonly mutationsPerS: number;
  readonly terminalGraceMs: number;
  readonly limits: Limits;
  readonly drainMs: number;
  /** null = nothing is traced */
  readonly otlpUrl: string | null;
  /** one line each, for the log: legacy, unknown or weak settings */
  readonly warnings: readonly string[];
}

/** Reads and checks the environment; throws one StartError (exit 78) that names every problem. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const set = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = z.object(fields).safeParse(set);
  const problems = parsed.success
    ? []
    : parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  const terminalSecret = set.SPOON_AGENT_TERMINAL_SECRET ?? set.SPOON_AGENT_WORKER_INTERNAL_TOKEN;
  if (set.SPOON_AGENT_WORKER_INTERNAL_TOKEN === undefined) {
    problems.push('SPOON_AGENT_WORKER_INTERNAL_TOKEN: is missing; `npm start` makes one, or set a long random value');
  }
  if (!parsed.success || terminalSecret === undefined || problems.length > 0) {
    throw new StartError(
      `The configuration is refused:\n${problems.map((line) => `  ${line}`).join('\n')}`,
      exitConfig,
    );
  }
  const values = parsed.data;
  const encryptionKey = values.SPOON_ENCRYPTION_KEY ?? values.INSTANCE_SECRET ?? null;
  // A deployment that sets SPOON_ENCRYPTION_KEY at last has sealed with the other one so far.
  const formerKeys = [...(values.SPOON_ENCRYPTION_KEY_PREVIOUS ?? []), values.INSTANCE_SECRET ?? ''];
  const workdir = resolve(values.SPOON_AGENT_WORKDIR);
  return {
    redisUrl: values.SPOON_REDIS_URL,
    installationId: values.SPOON_INSTALLATION_ID ?? null,
    workdir,
    hostWorkdir: values.SPOON_AGENT_HOST_WORKDIR ?? workdir,
    dockerHost: values.DOCKER_HOST ?? null,
    dockerConfig: values.DOCKER_CONFIG ?? join(homedir(), '.docker'),
    boxImage: values.SPOON_BOX_IMAGE ?? null,
    boxIdleMs: values.SPOON_AGENT_BOX_IDLE_MS ?? null,
    classesDir: values.SPOON_CLASSES ?? new URL('../../manifests/classes', import.meta.url).pathname,
    terminalSecret,
    legacyTokens: values.SPOON_LEGACY_TOKENS,
    internalToken: values.SPOON_AGENT_WORKER_INTERNAL_TOKEN ?? terminalSecret,
    encryptionKey,
    previousEncryptionKeys: formerKeys.filter((key) => key !== '' && key !== encryptionKey),
    publicWsUrl: values.SPOON_PUBLIC_WS_URL ?? values.NEXT_PUBLIC_SPOON_AGENT_WORKER_WS_URL ?? null,
    publicUrl:
      values.SPOON_PUBLIC_URL?.replace(/\/+$/, '') ??
      `http://${ownAddress(values.SPOON_BIND, values.SPOON_CONTROLLER_PORT)}`,
    apiRequestsPerS: values.SPOON_API_REQUESTS_PER_S,
    allowedOrigins: values.SPOON_ALLOWED_ORIGINS ?? [],
    bind: values.SPOON_BIND,
    trustedProxies: values.SPOON_TRUSTED_PROXIES ?? [],
    controllerPort: values.SPOON_CONTROLLER_PORT,
    gatewayPort: values.SPOON_GATEWAY_PORT,
    logLevel: values.SPOON_LOG_LEVEL,
    resyncMs: values.SPOON_RESYNC_MS,
    leaderTtlMs: values.SPOON_LEADER_TTL_MS,
    workers: values.SPOON_WORKERS,
    mutationsPerS: values.SPOON_MUTATIONS_PER_S,
    terminalGraceMs: values.SPOON_TERMINAL_GRACE_MS,
    limits: {
      boxes: values.SPOON_BOX_MAX === 0 ? null : values.SPOON_BOX_MAX,
      memoryBytes: values.SPOON_BOX_MEMORY === '0' ? null : values.SPOON_BOX_MEMORY,
    },
    drainMs: values.SPOON_DRAIN_MS,
    otlpUrl: values.SPOON_OTLP_URL ?? null,
    warnings: warningsFor(set, terminalSecret),
  };
}

/** As a client on this machine finds what listens there: `host:port`. */
export function ownAddress(bind: string, listensOn: number): string {
  const host = anyAddress.includes(bind) ? '127.0.0.1' : bind.includes(':') ? `[${bind}]` : bind;
  return `${host}:${listensOn}`;
}

/** The variables as a table: name, default, meaning. The documents are made from it. */
export function configTable(): { name: string; default: string; meaning: string }[] {
  const schema = z.toJSONSchema(z.object(fields), { io: 'input' });
  return Object.entries(schema.properties ?? {}).map(([name, field]) => ({
    name,
    default: typeof field === 'object' && field.default !== undefined ? String(field.default) : '',
    meaning: typeof field === 'object' ? (field.description ?? '') : '',
  }));
}

/** The variables of compose.yml and its overlays, beside those. */
export function composeTable(): { name: string; meaning: string }[] {
  return Object.entries(composeFields).map(([name, meaning]) => ({ name, meaning }));
}

function warningsFor(set: Record<string, string | undefined>, terminalSecret: string): string[] {
  const warnings = Object.keys(set)
    .filter((name) => name.startsWith('SPOON_') && !(name in fields) && !(name in composeFields))
    .map((name) => `${name} is not a variable of Spoonbox and has no effect`);
  if (set.SPOON_AGENT_TERMINAL_IDLE_MS !== undefined) {
    warnings.push('SPOON_AGENT_TERMINAL_IDLE_MS has no effect any more: SPOON_AGENT_BOX_IDLE_MS governs');
  }
  if (terminalSecret.length < minSecretLength) {
    warnings.push(`the terminal secret is shorter than ${minSecretLength} characters: use a long random value`);
  }
  const encryptionKey = set.SPOON_ENCRYPTION_KEY ?? set.INSTANCE_SECRET;
  if (encryptionKey !== undefined && encryptionKey.length < minSecretLength) {
    warnings.push(
      `the encryption key of the vault is shorter than ${minSecretLength} characters: use a long random value`,
    );
  }
  if (encryptionKey === undefined && set.SPOON_ENCRYPTION_KEY_PREVIOUS !== undefined) {
    warnings.push('SPOON_ENCRYPTION_KEY_PREVIOUS has no effect without SPOON_ENCRYPTION_KEY (or INSTANCE_SECRET)');
  }
  return warnings;
}
