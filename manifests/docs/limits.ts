import { humanDuration } from '#shared/human-time.ts';
import { type CloseName, terminalLimits } from '#shared/terminal-protocol.ts';
import { type ConnectRateLimits, defaultConnectRates, type Rate } from '../../gateway/src/connect-rate.ts';
import { idleWarningLimits } from '../../gateway/src/idle-warning.ts';
import { defaultLimits } from '../../gateway/src/limits.ts';
import { defaultRecordingLimits } from '../../gateway/src/recording/limits.ts';

/** A bound that a person or a client can meet. Those that only the gateway sees are in `gateway/src/limits.ts` with their reasons. */
export interface LimitRow {
  readonly limit: string;
  readonly default: string;
  /** how a socket is closed that goes beyond; null = it is not closed */
  readonly close: CloseName | null;
  readonly told: string;
}

export function limitRows(): LimitRow[] {
  return [...connecting(defaultConnectRates), ...sessions(), ...bytes(), ...times(), ...recordings()];
}

function connecting({ user, address }: ConnectRateLimits): LimitRow[] {
  const told = 'how long to wait; a command: HTTP 503 `too-fast`, before there is a WebSocket';
  return [
    {
      limit: 'connects of one user, for terminals and commands together',
      default: rate(user),
      close: 'too-fast',
      told,
    },
    {
      limit: 'connects from one address, likewise (IPv6: one /64; behind a proxy on this machine, as it says)',
      default: rate(address),
      close: 'too-fast',
      told,
    },
    {
      limit: 'sockets that have not shown a token yet',
      default: count(defaultLimits.handshakesAtOnce),
      close: 'try-later',
      told: 'to try again later',
    },
    {
      limit: 'sockets that are told by a close code why they are refused',
      default: count(defaultLimits.handshakesAtOnce),
      close: null,
      told: 'the same by HTTP 503 and problem details, instead of a WebSocket',
    },
    {
      limit: 'first message (`hello`) of a socket',
      default: humanDuration(defaultLimits.helloWithinMs),
      close: 'hello-missing',
      told: 'that no `hello` came in time',
    },
    {
      limit: 'shells that are started at once',
      default: `${defaultLimits.startsAtOnce}, one of each user`,
      close: null,
      told: 'nothing: it waits, users in turn',
    },
  ];
}

function sessions(): LimitRow[] {
  const close = 'too-many-sessions';
  return [
    {
      limit: 'terminals of one user on a gateway',
      default: count(defaultLimits.sessionsPerUser),
      close,
      told: 'how many there are; one that nobody is attached to makes room first',
    },
    {
      limit: 'terminals on a gateway',
      default: count(defaultLimits.sessionsPerGateway),
      close,
      told: 'the limit; one that nobody is attached to makes room first',
    },
    { limit: 'sockets at one terminal', default: count(defaultLimits.viewersPerSession), close, told: 'the limit' },
    {
      limit: 'clients that a terminal remembers, to come back by their tickets',
      default: count(defaultLimits.guestsPerSession),
      close: null,
      told: 'nothing: the ticket of the one that has been gone for longest is refused (`ticket-refused`)',
    },
    {
      limit: 'commands (`/v1/exec`) of one user on a gateway',
      default: count(defaultLimits.jobsPerUser),
      close: null,
      told: 'HTTP 429 `too-many-jobs`, before there is a WebSocket',
    },
    {
      limit: 'commands (`/v1/exec`) on a gateway',
      default: count(defaultLimits.jobsPerGateway),
      close: null,
      told: 'the same',
    },
    {
      limit: 'a terminal without any socket',
      default: humanDuration(defaultLimits.graceMs),
      close: null,
      told: '`graceMs` of `hello`; whoever comes later gets a new shell and the notice `session-lost`',
    },
  ];
}

function bytes(): LimitRow[] {
  return [
    {
      limit: 'one frame',
      default: `${size(terminalLimits.maxFrameBytes)}; ${size(defaultLimits.maxRawFrameBytes)} on a raw socket`,
      close: 'frame-too-big',
      told: 'to split it',
    },
    {
      limit: 'one message to a command (`/v1/exec`)',
      default: size(defaultLimits.maxRawFrameBytes),
      close: 'frame-too-big',
      told: 'nothing more: it ends the command, without a status',
    },
    {
      limit: 'line and headers of a request, which hold the words of a command',
      default: size(defaultLimits.maxRequestHeadBytes),
      close: null,
      told: 'HTTP 431, before there is a WebSocket',
    },
    {
      limit: 'output that is not acknowledged',
      default: `${size(terminalLimits.highBytes)}, on below ${size(terminalLimits.lowBytes)}`,
      close: null,
      told: '`highBytes`, `lowBytes` of `hello`; sending stops until then',
    },
    {
      limit: 'output of a terminal that is kept',
      default: size(defaultLimits.ringBytes),
      close: null,
      told: 'a client that is further behind gets a `screen` instead',
    },
    {
      limit: 'the same, of all terminals of a gateway',
      default: size(defaultLimits.ringsBytes),
      close: null,
      told: 'the same: whose output takes most gives up the older half',
    },
    {
      limit: 'output of a command that has ended, which waits for its client',
      default: size(defaultLimits.endedOutputBytes),
      close: null,
      told: 'nothing: it is cut (1006)',
    },
    {
      limit: 'what is typed before the shell is there',
      default: size(defaultLimits.typeAheadBytes),
      close: null,
      told: 'nothing: the socket is read on when it is',
    },
  ];
}

function times(): LimitRow[] {
  const { warnBeforeMs, warnAgainBeforeMs } = idleWarningLimits;
  return [
    {
      limit: 'a silent socket',
      default: humanDuration(2 * terminalLimits.pingEveryMs),
      close: null,
      told: 'nothing: it is cut (1006), the terminal is kept for a resume',
    },
    {
      limit: 'a client that does not read the end of its command',
      default: humanDuration(defaultLimits.statusWithinMs),
      close: null,
      told: 'nothing: it is cut (1006)',
    },
    {
      limit: 'an attached terminal in which nothing happens',
      default: "the class's `idle.attached`",
      close: 'idle',
      told: `\`idle-soon\` ${humanDuration(warnBeforeMs)} before (a quarter of the time where that is less) and ${humanDuration(warnAgainBeforeMs)} before`,
    },
  ];
}

function recordings(): LimitRow[] {
  const { fileBytes, maxAgeMs, userBytes, queueBytes } = defaultRecordingLimits;
  const told = 'nothing: the terminal goes on';
  return [
    {
      limit: 'a file of a recording',
      default: size(fileBytes),
      close: null,
      told: `${told}, and the recording in another file`,
    },
    {
      limit: 'the recordings of one user',
      default: `${size(userBytes)}, ${humanDuration(maxAgeMs)}`,
      close: null,
      told: 'nothing: the oldest are removed',
    },
    {
      limit: 'output that waits for the disk of a recording',
      default: size(queueBytes),
      close: null,
      told: `${told}; a marker says how much is missing`,
    },
  ];
}

function rate({ burst, perSecond }: Rate): string {
  return `${burst} at once, then ${perSecond} a second`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

const units: readonly (readonly [bytes: number, name: string])[] = [
  [1024 ** 3, 'GiB'],
  [1024 ** 2, 'MiB'],
  [1024, 'KiB'],
];

function size(value: number): string {
  const [unitBytes, name] = units.find(([unit]) => value >= unit) ?? [1, 'bytes'];
  return `${value / unitBytes} ${name}`;
}
