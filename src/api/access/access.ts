import type { ServerUnaryCall } from '@grpc/grpc-js';
import { Counter, type Registry } from 'prom-client';
import { ServiceError } from '../../app/errors.ts';
import type { RateLimiter } from '../../app/ports.ts';
import { ANYONE, type Caller, type Scope } from './caller.ts';
import { AUTHENTICATION_FAILURES, requireScope } from './denials.ts';

/** What tells a caller from the call: its token, or its connection's certificate. */
export type AccessCall = Pick<ServerUnaryCall<unknown, unknown>, 'metadata' | 'getAuthContext'>;

/** Tells who calls. Fails with ServiceError UNAUTHENTICATED, PERMISSION_DENIED or UNAVAILABLE. */
export interface Identity {
  identify(call: AccessCall): Caller | Promise<Caller>;
}

/** Where calls are not authenticated. */
export const UNAUTHENTICATED_CALLS: Identity = { identify: () => ANYONE };

/** Who may call what: every call of PaymentService and AccountService passes here first. */
export class Access {
  readonly #identity: Identity;
  readonly #limiter: RateLimiter | undefined;
  readonly #failures: Counter<'reason'>;

  /** limiter has a bucket for each caller; undefined is no limit. */
  constructor(identity: Identity, limiter: RateLimiter | undefined, registry: Registry) {
    this.#identity = identity;
    this.#limiter = limiter;
    this.#failures = new Counter({
      name: 'payment_ledger_authentication_failures_total',
      help: 'Calls of nobody we know, by the reason that the caller was given.',
      labelNames: ['reason'],
      registers: [registry],
    });
    // There from the start, so that the first of a kind shows as a rise.
    for (const reason of AUTHENTICATION_FAILURES) this.#failures.inc({ reason }, 0);
  }

  /** See Identity. */
  identify(call: AccessCall): Caller | Promise<Caller> {
    return this.#identity.identify(call);
  }

  /**
   * Fails with ServiceError PERMISSION_DENIED unless the caller has the scope, and
   * TOO_MANY_CALLS if its bucket is empty. A promise only where callers are limited.
   */
  permit(caller: Caller, scope: Scope): void | Promise<void> {
    requireScope(caller, scope);
    if (this.#limiter !== undefined) return limit(caller, this.#limiter);
  }

  /** Counts a call that failed, if it was because nobody knows who called. */
  failed(error: unknown): void {
    if (!(error instanceof ServiceError)) return;
    const { problem } = error;
    if (problem.kind === 'UNAUTHENTICATED') this.#failures.inc({ reason: problem.reason });
  }
}

/** Not a decline: those are about the payer, and this comes before anything is known of the request. */
async function limit({ name }: Caller, limiter: RateLimiter): Promise<void> {
  const retryAfterMs = await limiter.take(name);
  if (retryAfterMs === 0) return;
  throw new ServiceError(
    { kind: 'TOO_MANY_CALLS', retryAfterMs },
    `The caller makes too many calls; retry in ${retryAfterMs} ms.`,
  );
}
