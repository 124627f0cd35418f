import type { Command } from 'commander';
import { RefundPaymentRequest } from '../../gen/payment/v1/payment.ts';
import { withApiUsage } from '../api-command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { callWithKey, type KeyedOptions, keyAndNotes, withKeyAndNotes } from '../keyed-call.ts';
import { printAnswer } from '../payment-output.ts';
import { parseId, parseInt64 } from '../settings.ts';

const ABOUT = `Moves what a payment has moved, or a part of it, back from its payee to its payer.

Without --key it makes an idempotency key and shows it; after exit code 5 the same command with the same --key finds
out what was done. Needs the scope payments.authorize, and accounts.admin as well if the payee is an EXTERNAL account.`;

const EXAMPLES = [
  'ledger refund 01M85Q3TTE820EZ9PCVSPH2JRN --amount-cents 500 --key breakfast-17',
  'ledger refund 01M85Q3TTE820EZ9PCVSPH2JRN',
];

interface Options extends KeyedOptions {
  readonly amountCents?: bigint;
}

export function addRefund(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('refund').summary('give money of a payment back').description(ABOUT);
  command
    .argument('<payment-id>', 'ULID or uuid', parseId)
    .option('--amount-cents <cents>', 'in minor units; all that is not yet refunded if left out', parseInt64);
  withKeyAndNotes(command, 'refund');
  withApiUsage(command, EXAMPLES, {
    0: 'the money is back, now or by an earlier call with the key',
    3: 'there is no such payment',
    4: 'declined: the payment is as it was',
    7: 'the key belongs to another payment or action',
  }).action(async (paymentId: string, options: Options) => {
    const { amountCents } = options;
    const amount = amountCents === undefined ? {} : { amountCents };
    const request = RefundPaymentRequest.fromPartial({ ...keyAndNotes(options), paymentId, ...amount });
    const answer = await callWithKey(command, request.idempotencyKey, (api) =>
      api.call(api.payments, api.payments.refundPayment, request),
    );
    end(printAnswer(request.idempotencyKey, answer, options.json));
  });
}
