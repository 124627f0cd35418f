import { type Command, Option } from 'commander';
import {
  AccountType,
  GetAccountRequest,
  ListAccountsRequest,
  OpenAccountRequest,
} from '../../gen/payment/v1/account.ts';
import { accountJson, accountTable, printAccount } from '../account-output.ts';
import { withApi, withApiUsage } from '../api-command.ts';
import { ExitCode } from '../exit-codes.ts';
import { withUsage } from '../help.ts';
import { json, printMore } from '../output.ts';
import { collect } from '../pages.ts';
import { parseCount, parseInt64 } from '../settings.ts';
import { addAccountChanges } from './account-changes.ts';

const TYPES = { customer: AccountType.ACCOUNT_TYPE_CUSTOMER, external: AccountType.ACCOUNT_TYPE_EXTERNAL };

interface Options {
  readonly currency?: string;
  readonly type?: keyof typeof TYPES;
  readonly overdraftLimitCents?: bigint;
  readonly limit: number;
  readonly all?: boolean;
  readonly json?: boolean;
}

export function addAccounts(program: Command, end: (exitCode: ExitCode) => void): void {
  const group = program.command('accounts').summary('open, change, show and list accounts');
  group.description('Opens, changes, closes, shows and lists accounts, by the API.');
  withUsage(group, {
    examples: ['ledger accounts open acc-001 --currency RUB', 'ledger accounts freeze acc-001', 'ledger accounts list'],
    exitCodes: { 0: 'done', 1: 'the command failed', 3: 'there is no such account' },
  });
  addOpen(group, end);
  addAccountChanges(group, end);
  addShow(group, end);
  addList(group, end);
}

function addOpen(group: Command, end: (exitCode: ExitCode) => void): void {
  const command = group.command('open').summary('open an account with a balance of zero');
  command
    .description('Opens an account with a balance of zero. Safe to repeat. Needs the scope accounts.admin.')
    .argument('<account-id>', '1 to 64 characters, such as acc-001')
    .requiredOption('--currency <code>', 'ISO 4217 in capitals')
    .addOption(
      new Option('--type <type>', 'external stands for the world outside, and has no limit')
        .choices(Object.keys(TYPES))
        .default('customer'),
    )
    .option(
      '--overdraft-limit-cents <cents>',
      'how far below zero it may go, in minor units; 0 if left out',
      parseInt64,
    )
    .option('--json', 'for programs');
  withApiUsage(
    command,
    ['ledger accounts open acc-001 --currency RUB', 'ledger accounts open world --currency RUB --type external'],
    { 7: 'there is an account of that id with other terms' },
  ).action(async (accountId: string, options: Options) => {
    const { currency = '', type = 'customer', overdraftLimitCents = 0n } = options;
    const request = OpenAccountRequest.fromPartial({ accountId, currency, type: TYPES[type], overdraftLimitCents });
    const { account } = await withApi(command, (api) => api.call(api.accounts, api.accounts.openAccount, request));
    printAccount(account!, options.json);
    end(ExitCode.DONE);
  });
}

function addShow(group: Command, end: (exitCode: ExitCode) => void): void {
  const command = group.command('show').description('Shows an account. Needs the scope payments.read.');
  command.summary('show an account').argument('<account-id>').option('--json', 'for programs');
  withApiUsage(command, ['ledger accounts show acc-001'], { 3: 'there is no such account' }).action(
    async (accountId: string, options: Options) => {
      const request = GetAccountRequest.fromPartial({ accountId });
      const { account } = await withApi(command, (api) => api.call(api.accounts, api.accounts.getAccount, request));
      printAccount(account!, options.json);
      end(ExitCode.DONE);
    },
  );
}

function addList(group: Command, end: (exitCode: ExitCode) => void): void {
  const command = group.command('list').description('Lists accounts by id. Needs the scope payments.read.');
  command
    .summary('list accounts by id')
    .option('--currency <code>', 'only those in this currency')
    .addOption(new Option('--type <type>', 'only those of this type').choices(Object.keys(TYPES)))
    .option('--limit <n>', 'how many at most', parseCount, 50)
    .option('--all', 'without a limit')
    .option('--json', 'for programs');
  withApiUsage(command, ['ledger accounts list --currency RUB', 'ledger accounts list --all --json'], {}).action(
    async (options: Options) => {
      const { currency = '', type, limit, all } = options;
      const { items, more } = await withApi(command, (api) =>
        collect(all ? Number.POSITIVE_INFINITY : limit, async (pageSize, pageToken) => {
          const filters = { currency, type: type ? TYPES[type] : AccountType.ACCOUNT_TYPE_UNSPECIFIED };
          const request = ListAccountsRequest.fromPartial({ pageSize, pageToken, ...filters });
          const { accounts, nextPageToken } = await api.call(api.accounts, api.accounts.listAccounts, request);
          return { items: accounts, nextPageToken };
        }),
      );
      console.log(options.json ? json({ accounts: items.map(accountJson), more }) : accountTable(items));
      if (!options.json) printMore(more);
      end(ExitCode.DONE);
    },
  );
}
