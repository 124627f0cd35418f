import { RANGE_SIZE, reconcile } from '../../src/app/reconciliation/books.ts';
import { createPool } from '../../src/infra/postgres/pool.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';

/** Returns how many problems it has printed. */
export async function reconcileBooks(databaseUrl: string): Promise<number> {
  const pool = createPool({
    connectionString: databaseUrl,
    max: 1,
    applicationName: 'payment-ledger-demo',
    queryTimeoutMs: 0,
    onIdleError: (error) => console.error(error.message),
  });
  try {
    const books = postgresBooks(pool);
    const { problems, paymentsExamined } = await reconcile(books);
    console.log(`\nThe books: ${paymentsExamined} payments`);
    for (const { currency, sumCents } of await books.sumCurrencies(RANGE_SIZE))
      console.log(`  ${currency}: all balances together are ${sumCents}`);
    for (const problem of problems) console.log(`  WRONG: ${problem}`);
    return problems.length;
  } finally {
    await pool.end();
  }
}
