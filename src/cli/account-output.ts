import { type Account, account_StateToJSON, accountTypeToJSON } from '../gen/payment/v1/account.ts';
import { fields, json, shortName, table } from './output.ts';

export function accountJson(account: Account) {
  const { accountId, currency, overdraftLimitCents, openedAt, debitsFrozen, creditsFrozen, metadata, etag } = account;
  const type = shortName(accountTypeToJSON(account.type));
  const state = shortName(account_StateToJSON(account.state));
  return {
    accountId,
    currency,
    type,
    overdraftLimitCents,
    openedAt,
    state,
    debitsFrozen,
    creditsFrozen,
    metadata,
    etag,
  };
}

export function printAccount(account: Account, asJson: boolean | undefined): void {
  const shown = accountJson(account);
  const frozen = [shown.debitsFrozen && 'debits', shown.creditsFrozen && 'credits'].filter(Boolean).join(' and ');
  const notes = Object.entries(shown.metadata).map(([key, value]) => [`metadata ${key}`, value]);
  const report = {
    account: shown.accountId,
    type: shown.type,
    currency: shown.currency,
    'overdraft limit (cents)': String(shown.overdraftLimitCents),
    opened: shown.openedAt,
    state: frozen === '' ? shown.state : `${shown.state} (${frozen} frozen)`,
    etag: shown.etag,
    ...Object.fromEntries(notes),
  };
  console.log(asJson ? json(shown) : fields(report));
}

export function accountTable(accounts: readonly Account[]): string {
  const titles = [{ title: 'ACCOUNT' }, { title: 'TYPE' }, { title: 'CURRENCY' }];
  const columns = [...titles, { title: 'OVERDRAFT LIMIT (CENTS)', number: true }, { title: 'OPENED' }];
  const rows = accounts.map(accountJson);
  return table(
    columns,
    rows.map((row) => [row.accountId, row.type, row.currency, String(row.overdraftLimitCents), row.openedAt]),
  );
}
