import { LedgerClient, newIdempotencyKey } from '../../packages/client/src/index.ts';
import { rejection } from './rejection.ts';

/** packages/client against address, with patience: this machine may be busy. */
export function patientClient(address: string): LedgerClient {
  return new LedgerClient(address, { insecure: true, timeoutMs: 60_000, maxAttempts: 100 });
}

/** Opens EXTERNAL world, payer, who has the amount, and payee. */
export async function openPair(ledger: LedgerClient, amountCents: bigint): Promise<void> {
  await ledger.openAccount({ accountId: 'world', currency: 'RUB', type: 'EXTERNAL' });
  for (const accountId of ['payer', 'payee']) await ledger.openAccount({ accountId, currency: 'RUB' });
  await ledger.authorizePayment({
    idempotencyKey: newIdempotencyKey(),
    payerAccountId: 'world',
    payeeAccountId: 'payer',
    amountCents,
    currency: 'RUB',
  });
}

export function newPayment(amountCents: bigint) {
  const accounts = { payerAccountId: 'payer', payeeAccountId: 'payee', currency: 'RUB' };
  return { idempotencyKey: newIdempotencyKey(), ...accounts, amountCents };
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** The error that a call ends with; fails if it succeeds. */
export async function failure(call: Promise<unknown>): Promise<Error> {
  return rejection(call);
}
