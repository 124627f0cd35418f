import type { PaymentCommand } from './commands.ts';
import type { Outcome } from './decide-payments.ts';
import type { Payment } from './domain/payment.ts';
import { ServiceError } from './errors.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Outage } from './outage.ts';
import type { DueCursor, Ledger } from './ports.ts';
import { Repeated } from './repeated.ts';

/** How often what has come due is looked for. */
const SWEEP_EVERY_MS = 1_000;
/** How often what was passed is tried again. */
const AGAIN_EVERY_MS = 5_000;
/** Holds that are looked up together, and fill a transaction. */
const AT_A_TIME = 256;
/** The next are looked up while no more than so many wait: those that wait for a lock take a second. */
const WAITING = 256;
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
 *
 * Goes through what is due once, in the order in which it comes due, and never back: so
 * nothing waits for what cannot be released, however much that is. That, and what was
 * committed late or came before a clock was set back, is tried again apart from it.
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
  readonly #sweeps: readonly Repeated[];
  /** What came due up to there was tried. */
  #sweptTo: DueCursor | undefined;
  /** Why something was passed that has not been tried again since. */
  #passed: unknown;
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
    this.#sweeps = [
      new Repeated(SWEEP_EVERY_MS, async () => this.#tell(await this.runOnce())),
      new Repeated(AGAIN_EVERY_MS, async () => this.#tell(await this.runAgain())),
    ];
  }

  start(): void {
    for (const sweep of this.#sweeps) sweep.start();
  }

  /** Begins no more; resolves when what was begun has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#sweeps.map((sweep) => sweep.stop()));
  }

  /** Releases all that has come due since the last time, the oldest first. Never throws. */
  async runOnce(nowMs = performance.now()): Promise<Sweep> {
    const { last, ...sweep } = await this.#sweep(this.#sweptTo, undefined, nowMs);
    this.#sweptTo = last ?? this.#sweptTo;
    this.#passed ??= sweep.failure;
    return sweep;
  }

  /** Releases what of that is still there. Never throws. */
  async runAgain(nowMs = performance.now()): Promise<Sweep> {
    for (const [paymentId, { untilMs }] of this.#resting) if (nowMs >= untilMs) this.#resting.delete(paymentId);
    const rested = [...this.#resting.values()][0]?.failure;
    const upTo = this.#sweptTo;
    const { expired, failure } =
      upTo === undefined ? { expired: 0, failure: undefined } : await this.#sweep(undefined, upTo, nowMs);
    this.#passed = failure ?? rested;
    return { expired, failure: this.#passed };
  }

  async #sweep(
    after: DueCursor | undefined,
    upTo: DueCursor | undefined,
    nowMs: number,
  ): Promise<Sweep & { readonly last: DueCursor | undefined }> {
    const waiting = new WaitingReleases();
    let last: DueCursor | undefined;
    let expired = 0;
    let failure: unknown;
    const release = async (payment: Payment) => {
      try {
        // Nothing, if another process was faster.
        if ((await this.#expire(payment)).kind === 'DECIDED') expired += 1;
      } catch (error) {
        failure ??= error;
        // Locks and outages, which ServiceError tells, end by themselves.
        if (error instanceof ServiceError) return;
        this.#resting.set(payment.paymentId, { untilMs: nowMs + REST_MS, failure: error });
      }
    };
    try {
      for (let more = true; more && !this.#stopped; ) {
        await waiting.untilAtMost(WAITING);
        const due = await this.#ledger.dueHolds(AT_A_TIME, last ?? after, upTo);
        for (const payment of due.holds) {
          if (!this.#resting.has(payment.paymentId)) waiting.add(release(payment));
        }
        last = due.last ?? last;
        more = due.more;
      }
    } catch (error) {
      failure ??= error;
    }
    await waiting.untilAtMost(0);
    return { expired, failure, last };
  }

  #expire(payment: Payment): Promise<Outcome> {
    return this.#groupCommit.submit({ kind: 'EXPIRY', payment, expiryId: this.#newId() }, () => this.#stopped);
  }

  #tell({ expired, failure }: Sweep): void {
    this.#report.expired(expired);
    if (this.#stopped) return;
    const current = failure ?? this.#passed;
    if (current === undefined) this.#report.outage.succeeded();
    else this.#report.outage.failed(current);
  }
}

/** Counts what was begun and has not ended. */
class WaitingReleases {
  #count = 0;
  #ended: () => void = () => undefined;

  /** The release must not reject. */
  add(release: Promise<void>): void {
    this.#count += 1;
    void release.then(() => {
      this.#count -= 1;
      this.#ended();
    });
  }

  async untilAtMost(count: number): Promise<void> {
    while (this.#count > count) {
      await new Promise<void>((resolve) => {
        this.#ended = resolve;
      });
    }
  }
}
