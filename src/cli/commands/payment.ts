import type { Command } from 'commander';
import { GetPaymentRequest, type Payment } from '../../gen/payment/v1/payment.ts';
import { withApi, withApiUsage } from '../api-command.ts';
import { ExitCode } from '../exit-codes.ts';
import { withUsage } from '../help.ts';
import { fields, json } from '../output.ts';
import { amountsOf, paymentJson } from '../payment-output.ts';
import { parseId } from '../settings.ts';
import { addPaymentActions } from './payment-actions.ts';

interface Options {
  readonly key?: string;
  readonly json?: boolean;
}

export function addPayment(program: Command, end: (exitCode: ExitCode) => void): void {
  const examples = ['ledger payment show 01M85Q3TTE820EZ9PCVSPH2JRN', 'ledger payment show --key order-17'];
  const group = program.command('payment').summary('show a payment and what was done with it');
  group.description('Shows a payment and what was done with it, by the API.');
  withUsage(group, {
    examples: [...examples, 'ledger payment actions 01M85Q3TTE820EZ9PCVSPH2JRN'],
    exitCodes: { 0: 'done', 1: 'the command failed', 3: 'there is no such payment' },
  });
  addShow(group, examples, end);
  addPaymentActions(group, end);
}

function addShow(group: Command, examples: readonly string[], end: (exitCode: ExitCode) => void): void {
  const command = group.command('show').summary('show a payment by its id or key');
  command
    .description(
      'Shows one payment, whatever became of it, by its id or by the key that the same caller made it, captured it, voided it or refunded it with. ' +
        'Needs the scope payments.read.',
    )
    .argument('[payment-id]', 'ULID or uuid', parseId)
    .option('--key <key>', 'its idempotency key')
    .option('--json', 'for programs');
  withApiUsage(command, examples, { 3: 'there is no such payment' }).action(
    async (paymentId: string | undefined, options: Options) => {
      if ((paymentId === undefined) === (options.key === undefined)) {
        command.error('error: name the payment by its id or by --key', { exitCode: ExitCode.USAGE });
      }
      const request = GetPaymentRequest.fromPartial({ paymentId: paymentId ?? '', idempotencyKey: options.key ?? '' });
      const { payment } = await withApi(command, (api) => api.call(api.payments, api.payments.getPayment, request));
      console.log(options.json ? json(paymentJson(payment!)) : report(payment!));
      end(ExitCode.DONE);
    },
  );
}

function report(payment: Payment): string {
  const { status, error, metadata } = paymentJson(payment);
  const notes = Object.entries(metadata).map(([key, value]) => [`metadata ${key}`, value]);
  return fields({
    payment: payment.paymentId,
    status,
    declined: error === null ? undefined : `${error.code}: ${error.message}`,
    payer: payment.payerAccountId,
    payee: payment.payeeAccountId,
    'amount (cents)': String(payment.amountCents),
    currency: payment.currency,
    ...amountsOf(payment),
    decided: payment.createdAt,
    description: payment.description || undefined,
    reference: payment.reference || undefined,
    ...Object.fromEntries(notes),
  });
}
