import {
  CapturePaymentRequest,
  CapturePaymentResponse,
  HoldPaymentRequest,
  HoldPaymentResponse,
  PaymentStatus,
  RefundPaymentRequest,
  RefundPaymentResponse,
} from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../client.ts';
import type { Transcript } from './transcript.ts';

/** A hotel sets the price of a night aside, takes less, and gives some of it back. Returns how many events that makes. */
export async function holdCaptureRefund(transcript: Transcript, client: LedgerClient, run: string): Promise<number> {
  const [alice, hotel] = [`alice-${run}`, `hotel-${run}`];
  await client.open(hotel, {});
  const night = {
    idempotencyKey: `night-${run}`,
    payerAccountId: alice,
    payeeAccountId: hotel,
    amountCents: 8_000n,
    currency: 'RUB',
  };
  const held = await transcript.step(
    "The hotel holds the price of a night of Alice's money",
    [HoldPaymentRequest, HoldPaymentResponse],
    night,
    client.hold(night),
    { payment: { status: PaymentStatus.PAYMENT_STATUS_HELD, heldCents: 8_000n } },
  );
  const paymentId = held?.payment?.paymentId ?? '';
  const bill = { idempotencyKey: `bill-${run}`, paymentId, amountCents: 6_000n };
  await transcript.step(
    'It captures what Alice owes, and the rest is hers again',
    [CapturePaymentRequest, CapturePaymentResponse],
    bill,
    client.capture(paymentId, bill),
    { action: { amountCents: 6_000n, releasedCents: 2_000n }, payment: { heldCents: 0n } },
  );
  const breakfast = { idempotencyKey: `breakfast-${run}`, paymentId, amountCents: 500n };
  await transcript.step(
    'And refunds the breakfast',
    [RefundPaymentRequest, RefundPaymentResponse],
    breakfast,
    client.refund(paymentId, breakfast),
    { payment: { capturedCents: 6_000n, refundedCents: 500n } },
  );
  return 4;
}
