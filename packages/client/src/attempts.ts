import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { LedgerClientOptions } from './connection.ts';
import { type LedgerError, TokenError } from './errors.ts';
import { isWorthRepeating, toLedgerError } from './failure.ts';

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2_000;

export interface Limits {
  readonly timeoutMs: number;
  readonly maxAttempts: number;
}

export type Unary<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline: number },
  callback: (error: ServiceError | null, response: Response) => void,
) => unknown;

/**
 * Makes attempts until one succeeds, fails for good, or the time or their number is used
 * up; then throws the last one's error. onFailure hears of each that failed.
 */
export async function attemptRepeatedly<Response>(
  attempt: (deadline: number) => Promise<Response>,
  { timeoutMs, maxAttempts }: Limits,
  onFailure: (error: LedgerError) => void = () => undefined,
): Promise<Response> {
  const deadline = Date.now() + timeoutMs;
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt(deadline);
    } catch (error) {
      onFailure(error as LedgerError);
      if (attempts >= maxAttempts || !isWorthRepeating(error as LedgerError)) throw error;
      const waitMs = backoff(attempts, (error as { retryAfterMs?: number }).retryAfterMs);
      if (Date.now() + waitMs >= deadline) throw error;
      await sleep(waitMs);
    }
  }
}

/** Doubles, with the callers spread out over half of it; never less than the service asks for. */
function backoff(attempts: number, retryAfterMs = 0): number {
  const longest = Math.min(FIRST_WAIT_MS * 2 ** (attempts - 1), LONGEST_WAIT_MS);
  return Math.max(longest * (0.5 + Math.random() / 2), retryAfterMs * (1 + Math.random() / 4));
}

/** One call. Throws this client's errors. */
export async function callOnce<Request, Response>(
  client: Client,
  method: Unary<Request, Response>,
  request: Request,
  deadline: number,
  token: LedgerClientOptions['token'],
): Promise<Response> {
  const metadata = new Metadata();
  const bearer = typeof token === 'function' ? await tokenBefore(deadline, token) : token;
  if (bearer !== undefined) metadata.set('authorization', `Bearer ${bearer}`);
  return new Promise((resolve, reject) => {
    method.call(client, request, metadata, { deadline }, (error, response) =>
      error === null ? resolve(response) : reject(toLedgerError(error)),
    );
  });
}

async function tokenBefore(deadline: number, token: () => string | Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const tooLate = () => reject(new Error('it took longer than the call may take'));
    timer = setTimeout(tooLate, deadline - Date.now());
  });
  try {
    return await Promise.race([late, Promise.resolve().then(token)]);
  } catch (cause) {
    throw new TokenError(`There is no token for the call: ${(cause as Error).message}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}
