import { type DestinationStream, type Logger, pino, stdSerializers, stdTimeFunctions } from 'pino';

export type { Logger } from 'pino';

const redacted = '[redacted]';
const secretFields = ['token', 'authorization', 'password', 'secret', 'ticket', 'environment', 'cookie'];

/**
 * JSON lines on standard output. Fields that hold secrets are redacted by name at three depths; a secret never goes into a message.
 * `level` is a pino level name, checked by the configuration.
 */
export function createLogger(options: { name: string; level: string; destination?: DestinationStream }): Logger {
  const paths = secretFields.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]);
  const settings = {
    name: options.name,
    level: options.level,
    timestamp: stdTimeFunctions.isoTime,
    serializers: { error: stdSerializers.err },
    redact: { paths, censor: redacted },
    formatters: { level: (labelName: string) => ({ level: labelName }) },
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}
