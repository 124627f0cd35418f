import type { Command } from 'commander';
import { VoidPaymentRequest } from '../../gen/payment/v1/payment.ts';
import { withApiUsage } from '../api-command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { callWithKey, type KeyedOptions, keyAndNotes, withKeyAndNotes } from '../keyed-call.ts';
import { printAnswer } from '../payment-output.ts';
import { parseId } from '../settings.ts';

const ABOUT = `Releases all that a payment still holds. What was captured stays captured.

Without --key it makes an idempotency key and shows it; after exit code 5 the same command with the same --key finds
out what was done. Needs the scope payments.authorize.`;

export function addVoid(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('void').summary('release what a payment holds').description(ABOUT);
  command.argument('<payment-id>', 'ULID or uuid', parseId);
  withKeyAndNotes(command, 'void');
  withApiUsage(command, ['ledger void 01M85Q3TTE820EZ9PCVSPH2JRN --description "gone home"'], {
    0: 'released, now or by an earlier call with the key',
    3: 'there is no such payment',
    4: 'declined: the payment is as it was',
    7: 'the key belongs to another payment or action',
  }).action(async (paymentId: string, options: KeyedOptions) => {
    const request = VoidPaymentRequest.fromPartial({ ...keyAndNotes(options), paymentId });
    const answer = await callWithKey(command, request.idempotencyKey, (api) =>
      api.call(api.payments, api.payments.voidPayment, request),
    );
    end(printAnswer(request.idempotencyKey, answer, options.json));
  });
}
