// Reconciles the books in whole: prints what it examined and what is wrong, and ends
// with 1 if anything is. DATABASE_URL names the database; safe while payments go on.
import { reconcile } from '../src/app/reconcile.ts';
import { createPool } from '../src/infra/postgres/pool.ts';
import { postgresBooks } from '../src/infra/postgres/reconciliation.ts';

const connectionString = process.env['DATABASE_URL'];
if (!connectionString) {
  console.error('DATABASE_URL is not set: postgres://user:password@host:port/database');
  process.exit(2);
}
const pool = createPool({
  connectionString,
  max: 1,
  applicationName: 'payment-ledger-reconcile',
  // A large ledger takes a while to read.
  queryTimeoutMs: 0,
  onIdleError: (error) => console.error(error.message),
});
try {
  const { currencies, problems, paymentsExamined } = await reconcile(postgresBooks(pool));
  console.log(`${paymentsExamined} payments examined`);
  for (const { currency, sumCents } of currencies) console.log(`${currency}: all balances together are ${sumCents}`);
  for (const problem of problems) console.log(`WRONG: ${problem}`);
  console.log(problems.length === 0 ? 'the books balance' : 'the books do not balance');
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  await pool.end();
}
