import type { Command } from 'commander';
import { GetBalanceSnapshotRequest } from '../../gen/payment/v1/account.ts';
import { GetAccountBalanceRequest } from '../../gen/payment/v1/payment.ts';
import { withApi, withApiUsage } from '../api-command.ts';
import { ExitCode } from '../exit-codes.ts';
import { fields, json } from '../output.ts';
import { parseInt64, parseTime } from '../settings.ts';

interface Options {
  readonly at?: Date;
  readonly version?: bigint;
  readonly json?: boolean;
}

export function addBalance(program: Command, end: (exitCode: ExitCode) => void): void {
  const command = program.command('balance').summary('show what an account holds, or held');
  command
    .description(
      'Shows what an account holds, or what it held at a time or after one of its entries. Needs the scope payments.read.',
    )
    .argument('<account-id>')
    .option('--at <time>', 'at that time, as RFC 3339', parseTime)
    .option('--version <n>', 'after the entry of that version', parseInt64)
    .option('--json', 'for programs');
  const examples = ['ledger balance acc-001', 'ledger balance acc-001 --at 2026-11-01T00:00:00Z'];
  withApiUsage(command, examples, { 3: 'there is no such account, or no entry of that version' }).action(
    async (accountId: string, options: Options) => {
      if (options.at !== undefined && options.version !== undefined) {
        command.error('error: --at or --version, not both', { exitCode: ExitCode.USAGE });
      }
      const balance = await read(command, accountId, options);
      const shown = {
        account: accountId,
        'available (cents)': String(balance.availableBalanceCents),
        'pending (cents)': String(balance.pendingBalanceCents),
        'posted (cents)': String(balance.postedBalanceCents),
        'incoming (cents)': 'incomingPendingCents' in balance ? String(balance.incomingPendingCents) : undefined,
        currency: balance.currency,
        version: String(balance.version),
        'last entry': 'lastEntryAt' in balance ? (balance.lastEntryAt ?? 'none') : undefined,
      };
      console.log(options.json ? json(balance) : fields(shown));
      end(ExitCode.DONE);
    },
  );
}

function read(command: Command, accountId: string, { at, version }: Options) {
  return withApi(command, async (api) => {
    if (at === undefined && version === undefined) {
      const request = GetAccountBalanceRequest.fromPartial({ accountId });
      return api.call(api.payments, api.payments.getAccountBalance, request);
    }
    const request = GetBalanceSnapshotRequest.fromPartial({ accountId, at: at?.toISOString(), version });
    const snapshot = await api.call(api.accounts, api.accounts.getBalanceSnapshot, request);
    return { ...snapshot, lastEntryAt: snapshot.lastEntryAt === '' ? null : snapshot.lastEntryAt };
  });
}
