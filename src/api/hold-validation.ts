import type { Metadata } from '../app/domain/payment.ts';
import type { FieldViolation } from '../app/errors.ts';
import type { Duration } from '../gen/google/protobuf/duration.ts';
import type { HoldPaymentRequest } from '../gen/payment/v1/payment.ts';
import { noteViolations, paymentViolations, rejectIf, text } from './validation.ts';

// As validation.ts, for holds and what becomes of them.

const DAY_MS = 24 * 60 * 60_000;
const DEFAULT_TTL_MS = 7 * DAY_MS;
const MAX_TTL_MS = 31 * DAY_MS;

/** The amount is not among them: one that is not positive is a decline, see precheck(). */
export function checkHoldPayment(request: HoldPaymentRequest): void {
  rejectIf(...paymentViolations(request), ttl('ttl', request.ttl));
}

interface LaterActionRequest {
  readonly idempotencyKey: string;
  readonly paymentId: string;
  readonly description: string;
  readonly reference: string;
  readonly metadata: Metadata;
}

/** Whether the id is a ULID is left to the look-up, as in checkGetPayment. */
export function checkLaterAction(request: LaterActionRequest): void {
  rejectIf(
    text('idempotency_key', request.idempotencyKey, 1, 255),
    text('payment_id', request.paymentId, 1, 64),
    ...noteViolations(request),
  );
}

/** Whole milliseconds; what was not given is the default. */
export function ttlMs(duration: Duration | undefined): number {
  if (duration === undefined) return DEFAULT_TTL_MS;
  return Number(duration.seconds) * 1_000 + Math.trunc(duration.nanos / 1e6);
}

export function ttl(field: string, duration: Duration | undefined): FieldViolation | undefined {
  const ms = ttlMs(duration);
  const longerByNanos = ms === MAX_TTL_MS && (duration?.nanos ?? 0) % 1e6 > 0;
  if (ms >= 1 && ms <= MAX_TTL_MS && !longerByNanos) return undefined;
  return { field, description: 'must be at least a millisecond and at most 31 days' };
}
