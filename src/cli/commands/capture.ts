import type { Command } from 'commander';
import { CapturePaymentRequest } from '../../gen/payment/v1/payment.ts';
import { withApiUsage } from '../api-command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { callWithKey, type KeyedOptions, keyAndNotes, withKeyAndNotes } from '../keyed-call.ts';
import { printAnswer } from '../payment-output.ts';
import { parseId, parseInt64 } from '../settings.ts';

const ABOUT = `Moves what a payment holds, or a part of it, to the payee, and releases the rest unless --keep-remainder is given.

Without --key it makes an idempotency key and shows it; after exit code 5 the same command with the same --key finds
out what was done. Needs the scope payments.authorize, and accounts.admin as well if the payer is an EXTERNAL account.`;

const EXAMPLES = [
  'ledger capture 01M85Q3TTE820EZ9PCVSPH2JRN --key bill-17',
  'ledger capture 01M85Q3TTE820EZ9PCVSPH2JRN --amount-cents 6000 --keep-remainder',
];

interface Options extends KeyedOptions {
  readonly amountCents?: bigint;
  readonly keepRemainder?: boolean;
}

export function addCapture(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('capture').summary('move what a payment holds').description(ABOUT);
  command
    .argument('<payment-id>', 'ULID or uuid', parseId)
    .option('--amount-cents <cents>', 'in minor units; all that is held if left out', parseInt64)
    .option('--keep-remainder', 'keep what is left on hold until its time is over');
  withKeyAndNotes(command, 'capture');
  withApiUsage(command, EXAMPLES, {
    0: 'the money has moved, now or by an earlier call with the key',
    3: 'there is no such payment',
    4: 'declined: the payment is as it was',
    7: 'the key belongs to another payment or action',
  }).action(async (paymentId: string, options: Options) => {
    const { amountCents, keepRemainder = false } = options;
    const amount = amountCents === undefined ? {} : { amountCents };
    const request = CapturePaymentRequest.fromPartial({ ...keyAndNotes(options), paymentId, ...amount, keepRemainder });
    const answer = await callWithKey(command, request.idempotencyKey, (api) =>
      api.call(api.payments, api.payments.capturePayment, request),
    );
    end(printAnswer(request.idempotencyKey, answer, options.json));
  });
}
