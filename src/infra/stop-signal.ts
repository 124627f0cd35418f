interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Ctrl-C reaches a process from the terminal and again from npm: within this time it is the same one. */
const SAME_SIGNAL_MS = 1_000;

/**
 * Calls stop once, at the first SIGTERM or SIGINT. A second signal ends the process at
 * once, with exit code 1 and whatever is in flight.
 */
export function onStopSignal(process: NodeJS.Process, log: Log, stop: () => void): void {
  let stoppingSinceMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stoppingSinceMs === undefined) {
      stoppingSinceMs = performance.now();
      log.info({ signal }, 'stopping');
      stop();
    } else if (performance.now() - stoppingSinceMs > SAME_SIGNAL_MS) {
      log.warn({ signal }, 'second signal: exiting with work in flight');
      process.exit(1);
    }
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}
