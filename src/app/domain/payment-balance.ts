import type { Payment } from './payment.ts';

/** What of a payment changes: how much of it is where, in minor units of its currency. */
export interface PaymentBalance {
  readonly heldCents: bigint;
  readonly capturedCents: bigint;
  readonly releasedCents: bigint;
  readonly refundedCents: bigint;
  /** Captures and refunds so far. */
  readonly actions: number;
  /** When what is held is released; undefined if the payment was never held. */
  readonly expiresAt: Date | undefined;
  /** Of the last action that changed it. */
  readonly updatedAt: Date;
}

/** A payment as it is now. */
export interface CurrentPayment extends Payment {
  readonly balance: PaymentBalance;
}

export type PaymentStatus = 'AUTHORIZED' | 'DECLINED' | 'HELD' | 'CAPTURED' | 'VOIDED' | 'EXPIRED';

export const PAYMENT_STATUSES: readonly PaymentStatus[] = [
  'AUTHORIZED',
  'DECLINED',
  'HELD',
  'CAPTURED',
  'VOIDED',
  'EXPIRED',
];

/** The most captures and refunds of one payment. */
export const MAX_ACTIONS = 100;

/** The balance of a payment that has had no further action. */
export function firstBalance({ kind, verdict, amountCents, expiresAt, createdAt }: Payment): PaymentBalance {
  const cents = verdict.status === 'AUTHORIZED' ? amountCents : 0n;
  return {
    heldCents: kind === 'HOLD' ? cents : 0n,
    capturedCents: kind === 'PAYMENT' ? cents : 0n,
    releasedCents: 0n,
    refundedCents: 0n,
    actions: 0,
    expiresAt: verdict.status === 'AUTHORIZED' ? expiresAt : undefined,
    updatedAt: createdAt,
  };
}

/** Where a payment stands, by its amounts alone. */
export function statusOf({ kind, verdict }: Payment, balance: PaymentBalance): PaymentStatus {
  if (verdict.status === 'DECLINED' || kind === 'PAYMENT') return verdict.status;
  if (balance.heldCents > 0n) return 'HELD';
  if (balance.capturedCents > 0n) return 'CAPTURED';
  // Nothing but the end of its time changes a hold from then on.
  return isOver(balance, balance.updatedAt) ? 'EXPIRED' : 'VOIDED';
}

/** Whether the time of the hold is over. */
export function isOver({ expiresAt }: PaymentBalance, at: Date): boolean {
  return expiresAt !== undefined && at.getTime() >= expiresAt.getTime();
}

/** Whether something is on hold though its time is over. */
export function isDue(balance: PaymentBalance, at: Date): boolean {
  return balance.heldCents > 0n && isOver(balance, at);
}
