import type { Command } from 'commander';
import { HoldPaymentRequest } from '../../gen/payment/v1/payment.ts';
import { withApiUsage } from '../api-command.ts';
import type { ExitCode } from '../exit-codes.ts';
import { callWithKey } from '../keyed-call.ts';
import { printAnswer } from '../payment-output.ts';
import { parseCount } from '../settings.ts';
import { type PaymentOptions, paymentOf, withPaymentOptions } from './pay.ts';

const ABOUT = `Sets the amount of the payer's funds aside for the payee, without moving it yet. ledger capture moves it, ledger void
gives it back, and so does the end of the hold's time.

Without --key it makes an idempotency key and shows it. After exit code 5 the hold may or may not exist: the same
command with the same --key finds out, and never holds twice. Needs the scope payments.authorize, and
accounts.admin as well if the payer is an EXTERNAL account.`;

const EXAMPLES = [
  'ledger hold --payer acc-001 --payee acc-002 --amount-cents 8000 --currency RUB --key night-17 --ttl-seconds 86400',
];

interface Options extends PaymentOptions {
  readonly ttlSeconds?: number;
}

export function addHold(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('hold').summary('set money aside for a payment').description(ABOUT);
  withPaymentOptions(command);
  command.option('--ttl-seconds <n>', 'how long it is held, at most 31 days; seven days if left out', parseCount);
  withApiUsage(command, EXAMPLES, {
    0: 'the money is set aside, or was by an earlier call with the key: the status says what became of it',
    4: 'declined: nothing was set aside',
    7: 'the key belongs to another payment or action',
  }).action(async (options: Options) => {
    const { ttlSeconds } = options;
    const ttl = ttlSeconds === undefined ? {} : { ttl: { seconds: BigInt(ttlSeconds), nanos: 0 } };
    const request = HoldPaymentRequest.fromPartial({ ...paymentOf(options), ...ttl });
    const answer = await callWithKey(command, request.idempotencyKey, (api) =>
      api.call(api.payments, api.payments.holdPayment, request),
    );
    end(printAnswer(request.idempotencyKey, answer, options.json));
  });
}
