import { setTimeout as sleep } from 'node:timers/promises';
import type { Server } from '@grpc/grpc-js';
import type { Health } from './health.ts';
import type { Listener } from './listen.ts';
import type { Reflection } from './reflection.ts';

export interface ShutdownTimes {
  /** How long to go on answering after NOT_SERVING, for balancers to notice, in milliseconds. */
  readonly drainMs: number;
  /** How long calls in flight may then take to finish, in milliseconds. */
  readonly graceMs: number;
}

interface Served {
  readonly listener: Listener;
  readonly health: Health;
  readonly reflection?: Reflection | undefined;
}

/**
 * Takes the server out of service: NOT_SERVING, then no new calls, then the end of
 * those in flight. New calls get UNAVAILABLE from the moment the drain is over.
 *
 * Returns whether all calls ended within their grace. Those that did not go on until
 * the process ends, and then get UNAVAILABLE. That is why forceShutdown() is not
 * used: its callers get CANCELLED, which does not invite them to retry, and without
 * channelz it does not reach connections at all (grpc-js 1.14.7).
 */
export async function stopServing(
  server: Server,
  { listener, health, reflection }: Served,
  times: ShutdownTimes,
): Promise<boolean> {
  health.stop();
  await sleep(times.drainMs);
  const closed = listener.close();
  health.watches.endAll();
  reflection?.streams.endAll();
  return new Promise((resolve) => {
    const grace = setTimeout(() => resolve(false), times.graceMs);
    // tryShutdown's own callback does not wait for connections that the listener has taken (grpc-js 1.14.7).
    server.tryShutdown(() => undefined);
    void closed.then(() => {
      clearTimeout(grace);
      resolve(true);
    });
  });
}
