import { status } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { ServiceError } from '../app/errors.ts';
import type { Outage } from '../app/outage.ts';
import type { Failure } from './status.ts';

/** What the log shows of an answer. */
export interface CallSummary {
  /** Such as AUTHORIZED. */
  readonly outcome?: string | undefined;
  readonly declineCode?: string | undefined;
  readonly paymentId?: string | undefined;
  readonly batchId?: string | undefined;
  /** That was opened or changed. */
  readonly accountId?: string | undefined;
}

/** What the log shows of a call: who and how, nothing that it asked for. */
export interface LoggedCall {
  readonly method: string;
  readonly startedAtMs: number;
  readonly requestId: string;
  /** Undefined if it is not known. */
  readonly caller: { readonly name: string } | undefined;
  traceparent(): string | undefined;
}

/** Of failed calls, lest a flood of bad ones floods the log; the others are counted. */
const LINES_PER_SECOND = 100;
const WINDOW_MS = 1_000;

/**
 * The log of calls: at debug one line for each; at info one for each that failed, so
 * many a second, and how many more there were.
 */
export class CallLog {
  readonly #log: Logger;
  readonly #database: Outage;
  readonly #all: boolean;
  /** Of this second. */
  #lines = 0;
  #leftOut = 0;
  #windowBeganAtMs = Number.NEGATIVE_INFINITY;

  /** database is told of calls that fail because it is unavailable. */
  constructor(log: Logger, database: Outage) {
    this.#log = log;
    this.#database = database;
    this.#all = log.isLevelEnabled('debug');
  }

  /** code is what the caller saw: not OK if it had gone before the answer. */
  answered(call: LoggedCall, code: status, summary: () => CallSummary): void {
    if (code !== status.OK) this.#failed({ ...fieldsOf(call, code), ...summary() }, 'call failed');
    else if (this.#all) this.#log.debug({ ...fieldsOf(call, code), ...summary() }, 'call');
  }

  /** Logs an error that nobody foresaw whole, for its caller is told the errorId only. */
  failed(call: LoggedCall, code: status, error: unknown, { errorId }: Failure): void {
    if (!(error instanceof ServiceError)) {
      this.#log.error({ ...fieldsOf(call, code), errorId, err: error }, 'call failed unexpectedly');
      return;
    }
    if (error.problem.kind === 'UNAVAILABLE' && error.problem.database) this.#database.failed(error);
    const why = problemOf(error);
    const denied = why.kind === 'UNAUTHENTICATED' || why.kind === 'PERMISSION_DENIED';
    const cause = this.#all && error.cause !== undefined ? { err: error } : undefined;
    this.#failed({ ...fieldsOf(call, code), ...reasonOf(why), ...cause }, denied ? 'call denied' : 'call failed');
  }

  #failed(fields: object, message: string): void {
    if (this.#all || this.#mayLog()) this.#log.info(fields, message);
  }

  #mayLog(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#windowBeganAtMs >= WINDOW_MS) {
      this.#windowBeganAtMs = nowMs;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines <= LINES_PER_SECOND) return true;
    if (this.#leftOut === 0) setTimeout(() => this.#tellLeftOut(), WINDOW_MS).unref();
    this.#leftOut += 1;
    return false;
  }

  #tellLeftOut(): void {
    this.#log.info({ leftOut: this.#leftOut }, 'more calls failed than have a line');
    this.#leftOut = 0;
  }
}

function fieldsOf(call: LoggedCall, code: status) {
  const { method, startedAtMs, requestId, caller } = call;
  return {
    method,
    code: status[code],
    durationMs: Math.round((performance.now() - startedAtMs) * 10) / 10,
    // Empty while calls are not authenticated.
    caller: caller?.name || undefined,
    requestId,
    traceId: call.traceparent()?.slice(3, 35),
  };
}

/** Why, by the service's own word: a payment of other accounts is NOT_FOUND to the caller. */
function problemOf({ problem, cause }: ServiceError): ServiceError['problem'] {
  return cause instanceof ServiceError ? cause.problem : problem;
}

function reasonOf(problem: ServiceError['problem']): object {
  switch (problem.kind) {
    case 'INVALID_REQUEST':
      return { reason: problem.kind, fields: problem.violations.map(({ field }) => field) };
    case 'KEY_REUSED':
      return { reason: problem.kind, paymentId: problem.paymentId };
    case 'ACCOUNT_REFUSED':
      return { reason: problem.reason, accountId: problem.accountId };
    case 'UNAUTHENTICATED':
      return { reason: problem.reason };
    case 'PERMISSION_DENIED':
      return { reason: problem.reason, ...problem.metadata };
    default:
      return { reason: problem.kind };
  }
}
