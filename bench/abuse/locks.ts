import { connect } from '../database.ts';
import type { Running } from './abuse.ts';
import { paySteadily } from './unary.ts';

interface Locked {
  readonly databaseUrl: string;
  readonly payer: string;
  readonly payee: string;
}

/** Locks the payer's balance in a transaction that does not end, and pays from it. */
export function lockAccount(address: string, { databaseUrl, payer, payee }: Locked): Promise<Running> {
  return whileLocked(databaseUrl, 'select from account_balances where account_id = $1 for update', payer, () =>
    paySteadily(address, { payer, payee }),
  );
}

/** Claims a key in a transaction that does not end, and pays with it. */
export function lockKey(address: string, { databaseUrl, payer, payee }: Locked): Promise<Running> {
  const key = crypto.randomUUID();
  const claim = `insert into idempotency_keys (caller, key, payment_id, created_at) values ('', $1, gen_random_uuid(), now())`;
  return whileLocked(databaseUrl, claim, key, () => paySteadily(address, { payer, payee, key }));
}

async function whileLocked(
  databaseUrl: string,
  statement: string,
  value: string,
  start: () => Promise<Running>,
): Promise<Running> {
  const session = await connect(databaseUrl);
  await session.query('begin');
  await session.query(statement, [value]);
  const running = await start();
  return {
    async stop() {
      await session.query('rollback');
      await session.end();
      return running.stop();
    },
  };
}
