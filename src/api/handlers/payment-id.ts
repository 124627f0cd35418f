import { notFound } from '../../app/errors.ts';
import { isUlid } from '../../app/ulid.ts';

/**
 * The id as it is stored: the case of a ULID does not count. Throws NOT_FOUND for what is no ULID and so names no
 * payment: the same answer as for an id that nobody has.
 */
export function paymentIdOf(text: string): string {
  const paymentId = text.toUpperCase();
  if (!isUlid(paymentId)) throw notFound('Payment', text);
  return paymentId;
}
