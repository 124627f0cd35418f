// A caller of Payment Ledger: holds the price of a night, captures what is owed, and refunds a part of that.
import { randomUUID } from 'node:crypto';
import { ActionDeclinedError, LedgerClient, newIdempotencyKey } from '@payment-ledger/client';

const ledger = new LedgerClient(process.argv[2] ?? 'localhost:50051', { insecure: true });
const name = randomUUID().slice(0, 8);
const [world, guest, hotel] = [`world-${name}`, `guest-${name}`, `hotel-${name}`];
await ledger.openAccount({ accountId: world, currency: 'RUB', type: 'EXTERNAL' });
for (const accountId of [guest, hotel]) await ledger.openAccount({ accountId, currency: 'RUB' });

// A real caller stores each key with what it is for, before the first call, and repeats the
// call with it after an OutcomeUnknownError, as main.mjs does.
const idempotencyKey = newIdempotencyKey;
const deposit = { payerAccountId: world, payeeAccountId: guest, amountCents: 10_000n, currency: 'RUB' };
await ledger.authorizePayment({ ...deposit, idempotencyKey: idempotencyKey() });

const night = { payerAccountId: guest, payeeAccountId: hotel, amountCents: 8_000n, currency: 'RUB' };
const held = await ledger.holdPayment({ ...night, idempotencyKey: idempotencyKey(), ttlMs: 86_400_000 });
const { paymentId, heldCents, expiresAt } = held.payment;
console.log(`held: ${heldCents} until ${expiresAt}`);

const captured = await ledger.capturePayment({ idempotencyKey: idempotencyKey(), paymentId, amountCents: 6_000n });
console.log(`captured: ${captured.action.amountCents}, released: ${captured.action.releasedCents}`);

const refunded = await ledger.refundPayment({ idempotencyKey: idempotencyKey(), paymentId, amountCents: 500n });
console.log(`refunded: ${refunded.payment.refundedCents} of ${refunded.payment.capturedCents}`);

try {
  await ledger.refundPayment({ idempotencyKey: idempotencyKey(), paymentId, amountCents: 6_000n });
} catch (error) {
  if (!(error instanceof ActionDeclinedError)) throw error;
  console.log(`declined: ${error.code}`);
}

for await (const { type, amountCents, decline } of ledger.listPaymentActions(paymentId)) {
  console.log(`${type} ${amountCents} ${decline?.code ?? 'done'}`);
}
ledger.close();
