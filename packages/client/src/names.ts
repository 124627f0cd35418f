import { PaymentErrorCode } from '../../../src/gen/payment/v1/payment.ts';
import type { DeclineCode } from './errors.ts';

/** An enum's value by name and without its prefix; UNRECOGNIZED_n where the service is newer than this client. */
export function nameOf(values: Readonly<Record<string, number>>, prefix: string, value: number): string {
  const name = Object.keys(values).find((each) => values[each] === value);
  return name === undefined ? `UNRECOGNIZED_${value}` : name.slice(prefix.length);
}

export function declineCode(value: PaymentErrorCode | undefined): DeclineCode {
  return nameOf(PaymentErrorCode, 'PAYMENT_ERROR_CODE_', value ?? PaymentErrorCode.PAYMENT_ERROR_CODE_UNSPECIFIED);
}
