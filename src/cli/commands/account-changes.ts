import type { Command } from 'commander';
import {
  Account,
  CloseAccountRequest,
  FreezeAccountRequest,
  UnfreezeAccountRequest,
  UpdateAccountRequest,
} from '../../gen/payment/v1/account.ts';
import { printAccount } from '../account-output.ts';
import type { Api } from '../api.ts';
import { withApi, withApiUsage } from '../api-command.ts';
import { ExitCode } from '../exit-codes.ts';
import { parseMetadata } from '../keyed-call.ts';
import { parseInt64 } from '../settings.ts';

type End = (exitCode: ExitCode) => void;

interface Options {
  readonly overdraftLimitCents?: bigint;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly clearMetadata?: true;
  readonly debits?: true;
  readonly credits?: true;
  readonly reason?: string;
  readonly etag?: string;
  readonly json?: boolean;
}

type Change = (api: Api, accountId: string, options: Options) => Promise<{ account: Account | undefined }>;

export function addAccountChanges(group: Command, end: End): void {
  addUpdate(group, end);
  addFreeze(group, end);
  addUnfreeze(group, end);
  addClose(group, end);
}

function addUpdate(group: Command, end: End): void {
  const command = group.command('update').summary('change an overdraft limit or metadata');
  command
    .description("Changes an account's overdraft limit, its metadata, or both.")
    .option('--overdraft-limit-cents <cents>', 'how far below zero it may go, in minor units', parseInt64)
    .option('--metadata <key=value>', 'instead of all that there is; may be given several times', parseMetadata)
    .option('--clear-metadata', 'have none');
  const examples = [
    'ledger accounts update acc-001 --overdraft-limit-cents 50000 --reason "a good customer"',
    'ledger accounts update acc-001 --metadata tier=gold --metadata region=north --etag 3',
  ];
  withChange(command, examples, end, (api, accountId, { overdraftLimitCents, ...options }) => {
    if (options.metadata !== undefined && options.clearMetadata) {
      command.error('error: --metadata or --clear-metadata, not both', { exitCode: ExitCode.USAGE });
    }
    const metadata = options.clearMetadata ? {} : options.metadata;
    if (overdraftLimitCents === undefined && metadata === undefined) {
      const why = 'error: --overdraft-limit-cents, --metadata or --clear-metadata says what to change';
      command.error(why, { exitCode: ExitCode.USAGE });
    }
    const { etag = '', reason = '' } = options;
    const request = UpdateAccountRequest.fromPartial({
      account: Account.fromPartial({ accountId, etag }),
      updateMask: [],
      reason,
    });
    if (overdraftLimitCents !== undefined) {
      request.account!.overdraftLimitCents = overdraftLimitCents;
      request.updateMask!.push('overdraft_limit_cents');
    }
    if (metadata !== undefined) {
      request.account!.metadata = metadata;
      request.updateMask!.push('metadata');
    }
    return api.call(api.accounts, api.accounts.updateAccount, request);
  });
}

function addFreeze(group: Command, end: End): void {
  const command = group.command('freeze').summary('keep an account from paying or being paid');
  command
    .description(
      'Keeps an account from paying (--debits), from being paid (--credits), or both if neither is given, until it is unfrozen. Adds to what is frozen already.',
    )
    .option('--debits', 'it cannot pay')
    .option('--credits', 'it cannot be paid');
  const examples = ['ledger accounts freeze acc-001 --debits --reason "card reported stolen"'];
  withChange(command, examples, end, (api, accountId, { debits, credits, reason, etag }) => {
    const request = FreezeAccountRequest.fromPartial({ accountId, ...given({ debits, credits, reason, etag }) });
    return api.call(api.accounts, api.accounts.freezeAccount, request);
  });
}

function addUnfreeze(group: Command, end: End): void {
  const command = group.command('unfreeze').summary('let an account pay and be paid again');
  command
    .description('Lets an account pay again (--debits), be paid again (--credits), or both if neither is given.')
    .option('--debits', 'it can pay')
    .option('--credits', 'it can be paid');
  const examples = ['ledger accounts unfreeze acc-001', 'ledger accounts unfreeze acc-001 --credits --etag 4'];
  withChange(command, examples, end, (api, accountId, { debits, credits, reason, etag }) => {
    const request = UnfreezeAccountRequest.fromPartial({ accountId, ...given({ debits, credits, reason, etag }) });
    return api.call(api.accounts, api.accounts.unfreezeAccount, request);
  });
}

function addClose(group: Command, end: End): void {
  const command = group.command('close').summary('close an account for good');
  command.description('Closes an account for good. Its balances must be zero, and its id is never free again.');
  const examples = ['ledger accounts close acc-001 --reason "asked for by the customer"'];
  withChange(command, examples, end, (api, accountId, { reason, etag }) => {
    const request = CloseAccountRequest.fromPartial({ accountId, ...given({ reason, etag }) });
    return api.call(api.accounts, api.accounts.closeAccount, request);
  });
}

/** What all changes have in common: which account, why, and the etag that it must have. */
function withChange(command: Command, examples: readonly string[], end: End, change: Change): void {
  command
    .description(`${command.description()} Safe to repeat. Needs the scope accounts.admin.`)
    .argument('<account-id>')
    .option('--reason <text>', "for the account's history and the event")
    .option('--etag <etag>', 'only if the account still has it, as accounts show tells')
    .option('--json', 'for programs');
  withApiUsage(command, examples, {
    3: 'there is no such account',
    8: 'refused: its state forbids it, or it has another etag',
  }).action(async (accountId: string, options: Options) => {
    const { account } = await withApi(command, (api) => change(api, accountId, options));
    printAccount(account!, options.json);
    end(ExitCode.DONE);
  });
}

/** Without the options that were not given. */
function given<T extends object>(options: T): { [Key in keyof T]?: NonNullable<T[Key]> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]?: NonNullable<T[Key]> };
}
