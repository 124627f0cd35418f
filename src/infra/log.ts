import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';

interface LoggedError {
  readonly type: string;
  readonly message: string;
  readonly code?: unknown;
  readonly stack?: string | undefined;
  readonly cause?: unknown;
  /** Of one that stands for several, as after trying several servers. */
  readonly errors?: readonly unknown[];
}

/** Causes of causes that are logged; more would be a circle. */
const MAX_CAUSES = 5;
/** Of several errors that are one together, the first ones tell enough. */
const MAX_ERRORS = 3;

/**
 * What the log shows of an error. Nothing else, because clients put their input on
 * their errors: ioredis the AUTH command with the password, others their configuration.
 */
export function loggedError(error: unknown, causes = MAX_CAUSES): LoggedError | string {
  if (!(error instanceof Error)) return withoutCredentials(String(error));
  const { code } = error as { code?: unknown };
  return {
    type: error.name === 'Error' ? error.constructor.name : error.name,
    message: withoutCredentials(error.message),
    ...(code !== undefined && { code }),
    stack: error.stack === undefined ? undefined : withoutCredentials(error.stack),
    ...(error.cause !== undefined && causes > 0 && { cause: loggedError(error.cause, causes - 1) }),
    ...(error instanceof AggregateError &&
      causes > 0 && { errors: error.errors.slice(0, MAX_ERRORS).map((each) => loggedError(each, causes - 1)) }),
  };
}

/** Connection strings keep their host and lose who connects and with what. */
function withoutCredentials(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/]*@/gi, '$1***@');
}

/** The log of a process: JSON with the names of levels and ISO times, a line for each entry, on standard output. */
export function createLog(
  level: string,
  process: { readonly process: string; readonly pid: number },
  destination?: DestinationStream,
): Logger {
  const options: LoggerOptions = {
    level,
    base: process,
    formatters: { level: (name) => ({ level: name }) },
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: (error: unknown) => loggedError(error) },
  };
  return destination === undefined ? pino(options) : pino(options, destination);
}
