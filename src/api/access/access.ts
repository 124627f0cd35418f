import type { ServerUnaryCall } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';
import { ServiceError } from '../../app/errors.ts';
import { ANYONE, type Caller, type Scope } from './caller.ts';
import { requireScope } from './denials.ts';

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
  readonly #log: Logger;
  readonly #failures: Counter<'reason'>;

  constructor(identity: Identity, registry: Registry, log: Logger) {
    this.#identity = identity;
    this.#log = log;
    this.#failures = new Counter({
      name: 'payment_ledger_authentication_failures_total',
      help: 'Calls of nobody we know, by the reason that the caller was given.',
      labelNames: ['reason'],
      registers: [registry],
    });
  }

  /** See Identity. */
  identify(call: AccessCall): Caller | Promise<Caller> {
    return this.#identity.identify(call);
  }

  /** Throws ServiceError PERMISSION_DENIED unless the caller has the scope. */
  permit(caller: Caller, scope: Scope): void {
    requireScope(caller, scope);
  }

  /** Logs and counts a call that failed, if it was because of who called. */
  failed(error: unknown, method: string, caller: Caller | undefined): void {
    if (!(error instanceof ServiceError)) return;
    // A payment of other accounts is NOT_FOUND to the caller; why is in the cause.
    const { problem } = error.cause instanceof ServiceError ? error.cause : error;
    if (problem.kind !== 'UNAUTHENTICATED' && problem.kind !== 'PERMISSION_DENIED') return;
    if (problem.kind === 'UNAUTHENTICATED') this.#failures.inc({ reason: problem.reason });
    const details = problem.kind === 'PERMISSION_DENIED' ? problem.metadata : {};
    this.#log.info({ caller: caller?.name, method, reason: problem.reason, ...details }, 'call denied');
  }
}
