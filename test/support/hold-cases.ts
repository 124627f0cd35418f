import type { LedgerClient } from '../../tools/client.ts';
import type { TestDatabase } from './database.ts';

/** Accounts of a test's own: a payer with 1,000 and a payee with nothing. */
export async function openPair(client: LedgerClient): Promise<{ payerAccountId: string; payeeAccountId: string }> {
  const name = crypto.randomUUID().slice(0, 8);
  const pair = { payerAccountId: `payer-${name}`, payeeAccountId: `payee-${name}` };
  await client.openFunded(pair.payerAccountId, 1_000n);
  await client.open(pair.payeeAccountId);
  return pair;
}

/** Both accounts' balances: available, pending and incoming of the payer, then of the payee. */
export async function balancesOf(
  client: LedgerClient,
  { payerAccountId, payeeAccountId }: { payerAccountId: string; payeeAccountId: string },
): Promise<bigint[]> {
  const both = await Promise.all([client.balance(payerAccountId), client.balance(payeeAccountId)]);
  return both.flatMap((balance) => [
    balance.availableBalanceCents,
    balance.pendingBalanceCents,
    balance.incomingPendingCents,
  ]);
}

/** Rows that payments leave behind. */
export async function rowCounts(database: TestDatabase): Promise<Record<string, bigint>> {
  const [row] = await database.query<Record<string, bigint>>(`select
    (select count(*) from payments) as payments, (select count(*) from idempotency_keys) as keys,
    (select count(*) from ledger_entries) as entries, (select count(*) from outbox) as events`);
  return row!;
}

export function untilOver(payment: { readonly expiresAt: string }): Promise<void> {
  return new Promise((resume) => setTimeout(resume, Date.parse(payment.expiresAt) - Date.now() + 1));
}
