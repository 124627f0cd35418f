import type { Command } from 'commander';
import type { PaymentAction } from '../../gen/payment/v1/payment.ts';
import { withApi, withApiUsage } from '../api-command.ts';
import { ExitCode } from '../exit-codes.ts';
import { json, printMore, table } from '../output.ts';
import { collect } from '../pages.ts';
import { actionJson } from '../payment-output.ts';
import { parseCount, parseId } from '../settings.ts';

interface Options {
  readonly limit: number;
  readonly all?: boolean;
  readonly json?: boolean;
}

const COLUMNS = [
  { title: 'TIME' },
  { title: 'TYPE' },
  { title: 'AMOUNT (CENTS)', number: true },
  { title: 'RELEASED (CENTS)', number: true },
  { title: 'DECLINED' },
  { title: 'ACTION' },
];

export function addPaymentActions(group: Command, end: (exitCode: ExitCode) => void): void {
  const command = group.command('actions').summary('list what was done with a payment');
  command
    .description(
      'Lists what was done with a payment, declined attempts included, the oldest first. Needs the scope payments.read.',
    )
    .argument('<payment-id>', 'ULID or uuid', parseId)
    .option('--limit <n>', 'how many at most', parseCount, 50)
    .option('--all', 'without a limit')
    .option('--json', 'for programs');
  const examples = ['ledger payment actions 01M85Q3TTE820EZ9PCVSPH2JRN'];
  withApiUsage(command, examples, { 3: 'there is no such payment' }).action(
    async (paymentId: string, { limit, all, json: asJson }: Options) => {
      const { items, more } = await withApi(command, (api) =>
        collect(all ? Number.POSITIVE_INFINITY : limit, async (pageSize, pageToken) => {
          const request = { paymentId, pageSize, pageToken };
          const { actions, nextPageToken } = await api.call(api.payments, api.payments.listPaymentActions, request);
          return { items: actions, nextPageToken };
        }),
      );
      console.log(asJson ? json({ paymentId, actions: items.map(actionJson), more }) : actionTable(items));
      if (!asJson) printMore(more);
      end(ExitCode.DONE);
    },
  );
}

function actionTable(actions: readonly PaymentAction[]): string {
  const rows = actions
    .map(actionJson)
    .map((action) => [
      action.createdAt,
      action.type,
      String(action.amountCents),
      String(action.releasedCents),
      action.error?.code ?? '-',
      action.actionId ?? '-',
    ]);
  return table(COLUMNS, rows);
}
