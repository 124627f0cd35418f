/**
 * Runs begin() until SIGINT, SIGTERM or SIGHUP, the end of the parent process, or until
 * begin throws or calls the finish() given to it; then calls what begin returned, to
 * stop. A signal that comes while begin is at work is honoured as soon as it returns.
 * Repeated signals change nothing: Ctrl-C alone sends several, from the terminal and
 * through npm.
 *
 * Sets the exit code: 0 after a signal or finish(null), 1 after an error.
 */
export async function untilInterrupted(
  begin: (signal: AbortSignal, finish: (error: Error | null) => void) => Promise<() => Promise<void>>,
): Promise<void> {
  const interruption = new AbortController();
  const interrupted = new Promise<Error | undefined>((resolve) => {
    interruption.signal.addEventListener('abort', () => resolve(interruption.signal.reason as Error | undefined));
  });
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (interruption.signal.aborted) return;
      console.error('\nstopping');
      interruption.abort(null);
    });
  }
  // Whoever started us was killed outright and cannot tell us to stop.
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) interruption.abort(null);
  }, 500).unref();
  try {
    const stop = await begin(interruption.signal, (error) => interruption.abort(error));
    const error = await interrupted;
    if (error) report(error);
    await stop();
  } catch (error) {
    // What begin throws once it was interrupted is no failure.
    if (!interruption.signal.aborted) report(error as Error);
  }
  // Nothing is left to wait for; a client library that keeps a timer shall not keep us.
  process.exit();
}

function report(error: Error): void {
  console.error(error.message);
  process.exitCode = 1;
}
