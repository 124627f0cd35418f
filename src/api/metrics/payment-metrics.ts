import type { Registry } from 'prom-client';
import type { Action, DeclineCode, LaterKind, Verdict } from '../../app/domain/payment.ts';
import { ServiceError } from '../../app/errors.ts';
import type { LaterActions } from '../../app/later-actions.ts';
import type { DecidedBatch, PaymentBatches } from '../../app/payment-batches.ts';
import type { AuthorizeResult, NotStored, Payments, Stored } from '../../app/payment-service.ts';
import { type Reading, readOnScrape } from './on-scrape.ts';

type PaymentCalls = Pick<Payments, 'authorize' | 'hold' | 'findPayment' | 'findPaymentByKey'>;
type LaterCalls = Pick<LaterActions, 'capture' | 'void' | 'refund'>;
type BatchCalls = Pick<PaymentBatches, 'execute'>;

/** Declines that an answer has as its own; RATE_LIMITED is an outcome by itself. */
const DECLINE_CODES: readonly DeclineCode[] = [
  'INSUFFICIENT_FUNDS',
  'ACCOUNT_NOT_FOUND',
  'INVALID_AMOUNT',
  'SAME_ACCOUNT',
  'CURRENCY_MISMATCH',
  'ACCOUNT_FROZEN',
  'ACCOUNT_CLOSED',
];

const CAPTURE_DECLINES: readonly DeclineCode[] = [
  'PAYMENT_NOT_HELD',
  'PAYMENT_EXPIRED',
  'AMOUNT_EXCEEDS_HELD',
  'TOO_MANY_ACTIONS',
  'INVALID_AMOUNT',
];

const REFUND_DECLINES: readonly DeclineCode[] = [
  'AMOUNT_EXCEEDS_CAPTURED',
  'TOO_MANY_ACTIONS',
  'INSUFFICIENT_FUNDS',
  'INVALID_AMOUNT',
  'ACCOUNT_FROZEN',
  'ACCOUNT_CLOSED',
];

const BATCH_DECLINES = [...new Set([...DECLINE_CODES, ...CAPTURE_DECLINES, ...REFUND_DECLINES])];

const FAILURES = ['key_reused', 'permission_denied', 'overloaded', 'unavailable', 'abandoned', 'failed'];

type CountedKind = 'HOLD' | LaterKind;

/** By outcome and code, with a space between. */
type Counts = Map<string, number>;

/** All that are likely are there from the start, so that each first one shows as a rise. */
function countsOf(taken: string, declines: readonly DeclineCode[], isLimited: boolean): Counts {
  const likely = [
    `${taken} `,
    ...declines.map((code) => `declined ${code}`),
    ...(isLimited ? ['rate_limited RATE_LIMITED'] : []),
    'duplicate ',
    ...FAILURES.map((outcome) => `${outcome} `),
  ];
  return new Map(likely.map((each) => [each, 0]));
}

function readings(counts: Counts, labels: Readonly<Record<string, string>>): Reading[] {
  return [...counts].map(([outcomeAndCode, value]) => {
    const [outcome = '', code = ''] = outcomeAndCode.split(' ');
    return { labels: { ...labels, outcome, code }, value };
  });
}

/**
 * Counts payments by what became of them. Requests that were rejected before they
 * were a payment, such as invalid ones, are among the calls only.
 */
export class PaymentMetrics {
  readonly #payments = countsOf('authorized', DECLINE_CODES, true);
  readonly #later: Readonly<Record<CountedKind, Counts>> = {
    HOLD: countsOf('taken', DECLINE_CODES, true),
    CAPTURE: countsOf('taken', CAPTURE_DECLINES, false),
    VOID: countsOf('taken', ['PAYMENT_NOT_HELD'], false),
    EXPIRY: new Map([['taken ', 0]]),
    REFUND: countsOf('taken', REFUND_DECLINES, true),
  };

  readonly #batches = countsOf('taken', BATCH_DECLINES, true);

  constructor(registry: Registry) {
    const help = 'Payments by what became of them; code is why one was declined, or its original if it is a duplicate.';
    readOnScrape(registry, { name: 'payment_ledger_payments_total', help, type: 'counter' }, () =>
      readings(this.#payments, {}),
    );
    const actions = 'Holds, captures, voids, expiries and refunds by what became of them; code as for payments.';
    readOnScrape(registry, { name: 'payment_ledger_actions_total', help: actions, type: 'counter' }, () =>
      Object.entries(this.#later).flatMap(([kind, counts]) => readings(counts, { kind: kind.toLowerCase() })),
    );
    const batches =
      'Atomic batches by what became of them; code as for payments. Items of those taken count above too.';
    readOnScrape(registry, { name: 'payment_ledger_batches_total', help: batches, type: 'counter' }, () =>
      readings(this.#batches, {}),
    );
  }

  /** The same, with its results counted. */
  counted(payments: PaymentCalls): PaymentCalls {
    return {
      authorize: (...call) => this.#watched(payments.authorize(...call), outcomeOf, this.#payments),
      hold: (...call) => this.#watched(payments.hold(...call), outcomeOfAction, this.#actions('HOLD')),
      findPayment: (...call) => payments.findPayment(...call),
      findPaymentByKey: (...call) => payments.findPaymentByKey(...call),
    };
  }

  countedLater(actions: LaterCalls): LaterCalls {
    return {
      capture: (...call) => this.#watched(actions.capture(...call), outcomeOfAction, this.#actions('CAPTURE')),
      void: (...call) => this.#watched(actions.void(...call), outcomeOfAction, this.#actions('VOID')),
      refund: (...call) => this.#watched(actions.refund(...call), outcomeOfAction, this.#actions('REFUND')),
    };
  }

  countedBatches(batches: BatchCalls): BatchCalls {
    return {
      execute: async (...call) => {
        const result = await this.#watched(batches.execute(...call), outcomeOfAction, this.#batches);
        if (result.kind === 'DECIDED') for (const { action } of result.items) this.#countItem(action);
        return result;
      },
    };
  }

  #countItem({ kind }: Action): void {
    if (kind === 'PAYMENT') count(this.#payments, 'authorized ');
    else count(this.#actions(kind), 'taken ');
  }

  /** So many holds have been released at the end of their time, without a call that found them. */
  readonly expired = (holds: number): void => {
    const counts = this.#actions('EXPIRY');
    counts.set('taken ', counts.get('taken ')! + holds);
  };

  #actions(kind: CountedKind): Counts {
    return this.#later[kind];
  }

  #watched<Result>(call: Promise<Result>, outcome: (result: Result) => string, counts: Counts): Promise<Result> {
    call.then(
      (result) => count(counts, outcome(result)),
      (error) => count(counts, `${failureOf(error)} `),
    );
    return call;
  }
}

function count(counts: Counts, outcomeAndCode: string): void {
  counts.set(outcomeAndCode, (counts.get(outcomeAndCode) ?? 0) + 1);
}

function outcomeOf(result: AuthorizeResult): string {
  switch (result.kind) {
    case 'DECIDED': {
      const code = codeOf(result.action.verdict);
      return code === '' ? 'authorized ' : `declined ${code}`;
    }
    case 'DUPLICATE':
      return `duplicate ${codeOf(result.action.verdict)}`;
    case 'NOT_STORED': {
      const { code } = result.decline;
      return code === 'RATE_LIMITED' ? 'rate_limited RATE_LIMITED' : `declined ${code}`;
    }
  }
}

function outcomeOfAction(result: Stored | DecidedBatch | NotStored): string {
  const outcome = outcomeOf(result);
  return outcome === 'authorized ' ? 'taken ' : outcome;
}

function codeOf(verdict: Verdict): DeclineCode | '' {
  return verdict.status === 'DECLINED' ? verdict.decline.code : '';
}

function failureOf(error: unknown): string {
  return error instanceof ServiceError ? error.problem.kind.toLowerCase() : 'failed';
}
