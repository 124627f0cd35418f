import type { PaymentCommand } from './commands.ts';
import type { Outcome } from './decide-payments.ts';
import type { Payment } from './domain/payment.ts';
import { ServiceError } from './errors.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Outage } from './outage.ts';
import type { Ledger } from './ports.ts';

const SWEEP_EVERY_MS = 1_000;
/** Holds that are released together: a transaction or a few. */
const AT_A_TIME = 256;
/**
 * How long a hold is left alone whose release was rejected. Each try costs those that share its transaction a second
 * one of their own, and a hold that the books contradict is rejected until somebody mends them.
 */
const REST_MS = 60_000;

export interface Sweep {
  readonly expired: number;
  /** The first of the failures, if there were any. */
  readonly failure: unknown;
}

/**
 * Releases holds whose time is over, so that nobody's funds wait for a call. In each API
 * process, for money must not wait for Kafka or Redis; which of them comes first makes
 * no difference, as the others find nothing left to do.
 */
export class ExpirySweeper {
  readonly #groupCommit: Pick<GroupCommit<PaymentCommand, Outcome>, 'submit'>;
  readonly #ledger: Pick<Ledger, 'dueHolds'>;
  readonly #newId: () => string;
  readonly #report: {
    readonly expired: (holds: number) => void;
    readonly outage: Pick<Outage, 'failed' | 'succeeded'>;
  };
  readonly #resting = new Map<string, { readonly untilMs: number; readonly failure: unknown }>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  /** newId makes ULIDs. */
  constructor(
    groupCommit: Pick<GroupCommit<PaymentCommand, Outcome>, 'submit'>,
    ledger: Pick<Ledger, 'dueHolds'>,
    newId: () => string,
    report: { expired: (holds: number) => void; outage: Pick<Outage, 'failed' | 'succeeded'> },
  ) {
    this.#groupCommit = groupCommit;
    this.#ledger = ledger;
    this.#newId = newId;
    this.#report = report;
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#run();
    }, SWEEP_EVERY_MS);
  }

  /** Begins no more; resolves when what was begun has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /** Releases all that is due now, the oldest first. Never throws. */
  async runOnce(nowMs = performance.now()): Promise<Sweep> {
    for (const [paymentId, { untilMs }] of this.#resting) if (nowMs >= untilMs) this.#resting.delete(paymentId);
    const failed = [...this.#resting.keys()];
    let failure = [...this.#resting.values()][0]?.failure;
    let expired = 0;
    try {
      for (let full = true; full && !this.#stopped; ) {
        // What cannot be released now, as an account may be locked, must not keep the others waiting.
        const due = await this.#ledger.dueHolds(AT_A_TIME, failed);
        full = due.length === AT_A_TIME;
        const results = await Promise.allSettled(due.map((payment) => this.#expire(payment)));
        for (const [index, result] of results.entries()) {
          // Nothing, if another process was faster.
          if (result.status === 'fulfilled') expired += result.value.kind === 'DECIDED' ? 1 : 0;
          else {
            const { paymentId } = due[index]!;
            failed.push(paymentId);
            failure ??= result.reason;
            // Locks and outages, which ServiceError tells, end by themselves.
            if (!(result.reason instanceof ServiceError)) {
              this.#resting.set(paymentId, { untilMs: nowMs + REST_MS, failure: result.reason });
            }
          }
        }
      }
    } catch (error) {
      failure ??= error;
    }
    return { expired, failure };
  }

  #expire(payment: Payment): Promise<Outcome> {
    return this.#groupCommit.submit({ kind: 'EXPIRY', payment, expiryId: this.#newId() }, () => this.#stopped);
  }

  async #run(): Promise<void> {
    const { expired, failure } = await this.runOnce();
    this.#report.expired(expired);
    if (this.#stopped) return;
    if (failure === undefined) this.#report.outage.succeeded();
    else this.#report.outage.failed(failure);
    this.start();
  }
}
