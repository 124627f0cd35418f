import {
  ExecutePaymentBatchRequest,
  ExecutePaymentBatchResponse,
  PaymentErrorCode,
} from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../client.ts';
import type { Transcript } from './transcript.ts';

/** The hotel pays what it owes as one, then would pay more than it has. Returns how many events that makes. */
export async function payAsOne(transcript: Transcript, client: LedgerClient, run: string): Promise<number> {
  const batch = (title: string, key: string, [cleaning, tax]: [bigint, bigint], expected: object) => {
    const pay = (payee: string, amountCents: bigint) => {
      const accounts = { payerAccountId: `hotel-${run}`, payeeAccountId: `${payee}-${run}`, currency: 'RUB' };
      return { transfer: { ...accounts, amountCents, description: '', reference: '', metadata: {} } };
    };
    const request = { idempotencyKey: `${key}-${run}`, items: [pay('bob', cleaning), pay('world', tax)] };
    const call = client.batch(request.items, request.idempotencyKey);
    return transcript.step(title, [ExecutePaymentBatchRequest, ExecutePaymentBatchResponse], request, call, expected);
  };
  await batch('It pays Bob, who cleans, and a tax, as one', 'june', [1_000n, 300n], {
    error: undefined,
    payments: [{ amountCents: 1_000n }, { amountCents: 300n }],
  });
  await batch('Of a tax that is more than it has, Bob is not paid either', 'july', [1_000n, 9_000n], {
    error: { code: PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS },
    declinedItem: 1,
    payments: [],
  });
  return 3;
}
