import type { Command } from 'commander';
import {
  AuthorizePaymentRequest,
  type AuthorizePaymentResponse,
  paymentStatusToJSON,
} from '../../gen/payment/v1/payment.ts';
import { withApiUsage } from '../api-command.ts';
import { ExitCode } from '../exit-codes.ts';
import { callWithKey, type KeyedOptions, keyAndNotes, withKeyAndNotes } from '../keyed-call.ts';
import { fields, json, shortName } from '../output.ts';
import { declineJson } from '../payment-output.ts';
import { parseInt64 } from '../settings.ts';

const ABOUT = `Authorizes a payment: moves the amount from the payer to the payee, at once and for good.

Without --key it makes an idempotency key and shows it. After exit code 5 the payment may or may not exist: the same
command with the same --key finds out, and never pays twice. Needs the scope payments.authorize, and
accounts.admin as well if the payer is an EXTERNAL account.`;

const EXAMPLES = [
  'ledger pay --payer acc-001 --payee acc-002 --amount-cents 10000 --currency RUB',
  'ledger pay --payer acc-001 --payee acc-002 --amount-cents 10000 --currency RUB --key order-17 --reference order-17 --metadata shop=north',
];

/** Of ledger pay and ledger hold. */
export interface PaymentOptions extends KeyedOptions {
  readonly payer: string;
  readonly payee: string;
  readonly amountCents: bigint;
  readonly currency: string;
}

export function addPay(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('pay').summary('authorize a payment').description(ABOUT);
  withPaymentOptions(command);
  withApiUsage(command, EXAMPLES, {
    0: 'the money has moved, now or by an earlier call with the key',
    4: 'declined: no money has moved',
    7: 'the key belongs to another payment',
  }).action(async (options: PaymentOptions) => {
    const request = AuthorizePaymentRequest.fromPartial(paymentOf(options));
    const key = request.idempotencyKey;
    const response = await callWithKey(command, key, (api) =>
      api.call(api.payments, api.payments.authorizePayment, request),
    );
    const { status, originalStatus, error, paymentId, processedAt } = toJson(key, response);
    const shown = {
      status: originalStatus === null ? status : `${status} of a payment that was ${originalStatus}`,
      payment: paymentId ?? 'none was stored: the key may be used again',
      key,
      decided: processedAt,
      declined: error === null ? undefined : `${error.code}: ${error.message}`,
    };
    console.log(options.json ? json(toJson(key, response)) : fields(shown));
    end(error === null ? ExitCode.DONE : ExitCode.DECLINED);
  });
}

export function withPaymentOptions(command: Command): void {
  command
    .requiredOption('--payer <account-id>', 'the account that pays')
    .requiredOption('--payee <account-id>', 'the account that is paid')
    .requiredOption('--amount-cents <cents>', 'in minor units of the currency: cents, kopecks, yen', parseInt64)
    .requiredOption('--currency <code>', 'ISO 4217 in capitals, that of both accounts');
  withKeyAndNotes(command, 'payment');
}

/** The request that the options stand for. */
export function paymentOf(options: PaymentOptions) {
  const { payer: payerAccountId, payee: payeeAccountId, amountCents, currency } = options;
  return { ...keyAndNotes(options), payerAccountId, payeeAccountId, amountCents, currency };
}

function toJson(idempotencyKey: string, response: AuthorizePaymentResponse) {
  const { status, originalStatus, paymentId, processedAt, error } = response;
  const original = shortName(paymentStatusToJSON(originalStatus));
  return {
    status: shortName(paymentStatusToJSON(status)),
    originalStatus: original === 'UNSPECIFIED' ? null : original,
    paymentId: paymentId === '' ? null : paymentId,
    idempotencyKey,
    processedAt,
    error: error === undefined ? null : { ...declineJson(error), retryAfterMs: error.retryAfterMs },
  };
}
