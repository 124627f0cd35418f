// Payment ids are ULIDs: the first ten characters are the time, in Crockford's base 32.
// As text they sort as their bytes do.

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const PAYMENT_ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const TIME_LENGTH = 10;
const LENGTH = 26;

export function isPaymentId(text: string): boolean {
  return PAYMENT_ID.test(text);
}

/** When the payment's call came in, by the clock of its replica. Milliseconds since 1970. */
export function timeOfPaymentId(paymentId: string): number {
  let ms = 0;
  for (let i = 0; i < TIME_LENGTH; i++) ms = ms * 32 + ALPHABET.indexOf(paymentId[i]!);
  return ms;
}

/** The lowest id that a payment of that time can have. */
export function lowestPaymentId(timeMs: number): string {
  let id = '';
  for (let left = Math.max(0, Math.trunc(timeMs)); id.length < TIME_LENGTH; left = Math.floor(left / 32)) {
    id = ALPHABET[left % 32]! + id;
  }
  return id.padEnd(LENGTH, '0');
}
