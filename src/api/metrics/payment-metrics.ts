import type { Registry } from 'prom-client';
import type { DeclineCode, Verdict } from '../../app/domain/payment.ts';
import { ServiceError } from '../../app/errors.ts';
import type { AuthorizeResult, Payments } from '../../app/payment-service.ts';
import { readOnScrape } from './on-scrape.ts';

type PaymentCalls = Pick<Payments, 'authorize' | 'findPayment' | 'findPaymentByKey'>;

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

/**
 * Counts payments by what became of them. Requests that were rejected before they
 * were a payment, such as invalid ones, are among the calls only.
 */
export class PaymentMetrics {
  /** By outcome and code, with a space between. All that are likely are there from the start, so that each first one shows as a rise. */
  readonly #counts = new Map<string, number>([
    ['authorized ', 0],
    ...DECLINE_CODES.map((code) => [`declined ${code}`, 0] as const),
    ['rate_limited RATE_LIMITED', 0],
    ...['duplicate ', 'key_reused ', 'permission_denied ', 'overloaded ', 'unavailable ', 'abandoned ', 'failed '].map(
      (outcome) => [outcome, 0] as const,
    ),
  ]);

  constructor(registry: Registry) {
    const help = 'Payments by what became of them; code is why one was declined, or its original if it is a duplicate.';
    readOnScrape(registry, { name: 'payment_ledger_payments_total', help, type: 'counter' }, () =>
      [...this.#counts].map(([outcomeAndCode, value]) => {
        const [outcome = '', code = ''] = outcomeAndCode.split(' ');
        return { labels: { outcome, code }, value };
      }),
    );
  }

  /** The same, with its results counted. */
  counted(payments: PaymentCalls): PaymentCalls {
    return {
      authorize: (...call) => {
        const result = payments.authorize(...call);
        result.then(
          (authorized) => this.#count(outcomeOf(authorized)),
          (error) => this.#count(`${failureOf(error)} `),
        );
        return result;
      },
      findPayment: (...call) => payments.findPayment(...call),
      findPaymentByKey: (...call) => payments.findPaymentByKey(...call),
    };
  }

  #count(outcomeAndCode: string): void {
    this.#counts.set(outcomeAndCode, (this.#counts.get(outcomeAndCode) ?? 0) + 1);
  }
}

function outcomeOf(result: AuthorizeResult): string {
  switch (result.kind) {
    case 'DECIDED': {
      const code = codeOf(result.payment.verdict);
      return code === '' ? 'authorized ' : `declined ${code}`;
    }
    case 'DUPLICATE':
      return `duplicate ${codeOf(result.payment.verdict)}`;
    case 'NOT_STORED': {
      const { code } = result.decline;
      return code === 'RATE_LIMITED' ? 'rate_limited RATE_LIMITED' : `declined ${code}`;
    }
  }
}

function codeOf(verdict: Verdict): DeclineCode | '' {
  return verdict.status === 'DECLINED' ? verdict.decline.code : '';
}

function failureOf(error: unknown): string {
  return error instanceof ServiceError ? error.problem.kind.toLowerCase() : 'failed';
}
