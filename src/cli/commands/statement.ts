import type { Command } from 'commander';
import {
  type AccountEntry,
  AccountEntryOrder,
  accountEntryTypeToJSON,
  ListAccountEntriesRequest,
} from '../../gen/payment/v1/account.ts';
import { withApi, withApiUsage } from '../api-command.ts';
import { ExitCode } from '../exit-codes.ts';
import { json, printMore, shortName, table } from '../output.ts';
import { collect } from '../pages.ts';
import { parseCount, parseTime } from '../settings.ts';

interface Options {
  readonly from?: Date;
  readonly to?: Date;
  readonly oldestFirst?: boolean;
  readonly limit: number;
  readonly all?: boolean;
  readonly json?: boolean;
}

const COLUMNS = [
  { title: 'VERSION', number: true },
  { title: 'TIME' },
  { title: 'TYPE' },
  { title: 'AMOUNT (CENTS)', number: true },
  { title: 'BALANCE (CENTS)', number: true },
  { title: 'PENDING (CENTS)', number: true },
  { title: 'COUNTERPARTY' },
  { title: 'PAYMENT' },
];

export function addStatement(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('statement').summary('list what went out of an account and came in');
  command
    .description(
      'Lists what went out of an account, came in, and went on hold and back, and the balance after each. Needs the scope payments.read.',
    )
    .argument('<account-id>')
    .option('--from <time>', 'entries made at this time or later, as RFC 3339', parseTime)
    .option('--to <time>', 'entries made before this time', parseTime)
    .option('--oldest-first', 'the newest come first otherwise')
    .option('--limit <n>', 'how many at most', parseCount, 50)
    .option('--all', 'without a limit')
    .option('--json', 'for programs');
  const examples = [
    'ledger statement acc-001',
    'ledger statement acc-001 --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z --oldest-first --all --json',
  ];
  withApiUsage(command, examples, { 3: 'there is no such account' }).action(
    async (accountId: string, options: Options) => {
      const { items, more } = await list(command, accountId, options);
      console.log(options.json ? json({ accountId, entries: items.map(toJson), more }) : entryTable(items));
      if (!options.json) printMore(more);
      end(ExitCode.DONE);
    },
  );
}

function list(command: Command, accountId: string, { from, to, oldestFirst, limit, all }: Options) {
  const { ACCOUNT_ENTRY_ORDER_NEWEST_FIRST, ACCOUNT_ENTRY_ORDER_OLDEST_FIRST } = AccountEntryOrder;
  return withApi(command, (api) =>
    collect(all ? Number.POSITIVE_INFINITY : limit, async (pageSize, pageToken) => {
      const request = ListAccountEntriesRequest.fromPartial({
        accountId,
        pageSize,
        pageToken,
        order: oldestFirst ? ACCOUNT_ENTRY_ORDER_OLDEST_FIRST : ACCOUNT_ENTRY_ORDER_NEWEST_FIRST,
        createdFrom: from?.toISOString() ?? '',
        createdBefore: to?.toISOString() ?? '',
      });
      const { entries, nextPageToken } = await api.call(api.accounts, api.accounts.listAccountEntries, request);
      return { items: entries, nextPageToken };
    }),
  );
}

function toJson(entry: AccountEntry) {
  return {
    version: entry.version,
    type: shortName(accountEntryTypeToJSON(entry.type)),
    amountCents: entry.amountCents,
    releasedCents: entry.releasedCents,
    postedAfterCents: entry.postedAfterCents,
    pendingAfterCents: entry.pendingAfterCents,
    actionId: entry.actionId,
    paymentId: entry.paymentId,
    counterpartyAccountId: entry.counterpartyAccountId,
    createdAt: entry.createdAt,
  };
}

function entryTable(entries: readonly AccountEntry[]): string {
  const rows = entries
    .map(toJson)
    .map((entry) => [
      String(entry.version),
      entry.createdAt,
      entry.type,
      String(entry.amountCents),
      String(entry.postedAfterCents),
      String(entry.pendingAfterCents),
      entry.counterpartyAccountId,
      entry.paymentId,
    ]);
  return table(COLUMNS, rows);
}
