import { ulidToUuid } from '../../src/app/ulid.ts';
import type { HoldPaymentRequest } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import type { TestDatabase } from './database.ts';

/** A payer with funds and a payee without, in RUB, under ids that no other test has. */
export async function newPair(client: LedgerClient, funds = 1_000n) {
  const [payerAccountId, payeeAccountId] = [`payer-${crypto.randomUUID()}`, `payee-${crypto.randomUUID()}`] as const;
  await client.openFunded(payerAccountId, funds);
  await client.open(payeeAccountId);
  return { payerAccountId, payeeAccountId };
}

/** The id of a payment between a new pair that is authorized, and the pair. */
export async function newPayment(client: LedgerClient, amountCents = 100n) {
  const pair = await newPair(client);
  const { paymentId } = await client.authorize({ ...pair, amountCents });
  return { ...pair, paymentId };
}

/** Likewise for a hold. */
export async function newHold(client: LedgerClient, amountCents = 100n, request: Partial<HoldPaymentRequest> = {}) {
  const pair = await newPair(client);
  const { payment } = await client.hold({ ...pair, amountCents, ...request });
  return { ...pair, paymentId: payment!.paymentId };
}

/** Lets the time of a hold be over now. Postgres allows nobody to do that, so its rules are left out for it. */
export async function endTimeOf(database: TestDatabase, paymentId: string): Promise<void> {
  const connection = await database.pool.connect();
  try {
    await connection.query('begin; set local session_replication_role = replica');
    for (const table of ['payments', 'payment_balances']) {
      await connection.query(
        `update ${table} set expires_at = payments.created_at + interval '1 millisecond'
         from payments ${table === 'payments' ? 'same' : ''}
         where ${table}.payment_id = $1 and ${table === 'payments' ? 'same' : 'payments'}.payment_id = $1`,
        [ulidToUuid(paymentId)],
      );
    }
    await connection.query('commit');
  } finally {
    connection.release();
  }
}

/** Freezes an account as the books have it, without the service. */
export async function freeze(
  database: TestDatabase,
  accountId: string,
  { debits = false, credits = false },
): Promise<void> {
  await database.query(
    `insert into account_changes (change_id, account_id, revision, kind, overdraft_limit_cents, debits_frozen,
       credits_frozen, reason, caller, created_at)
     select gen_random_uuid(), account_id, 2, 'FROZEN', overdraft_limit_cents, $2, $3, '', '', clock_timestamp()
     from accounts where account_id = $1`,
    [accountId, debits, credits],
  );
}
