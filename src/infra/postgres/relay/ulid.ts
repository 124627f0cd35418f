// Crockford's base 32: https://github.com/ulid/spec#encoding.
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** Pairs of digits, by the ten bits they stand for. */
const PAIRS: readonly string[] = Array.from({ length: 1_024 }, (_, bits) => DIGITS[bits >> 5]! + DIGITS[bits & 31]!);

/**
 * The ULID of a uuid as Postgres writes it. The ulid package does the same, but byte by
 * byte: at full speed that was a twelfth of the relay's CPU time.
 */
export function ulidOf(uuid: string): string {
  const hex = `${uuid.slice(0, 8)}${uuid.slice(9, 13)}${uuid.slice(14, 18)}${uuid.slice(19, 23)}${uuid.slice(24)}`;
  // 128 bits in 26 digits of five: two bits of zero go first, so that one byte is two
  // digits, and each five bytes after it are eight.
  return (
    PAIRS[Number.parseInt(hex.slice(0, 2), 16)]! +
    forty(hex.slice(2, 12)) +
    forty(hex.slice(12, 22)) +
    forty(hex.slice(22))
  );
}

/** Five bytes: eight digits. */
function forty(hex: string): string {
  const high = Number.parseInt(hex.slice(0, 5), 16);
  const low = Number.parseInt(hex.slice(5), 16);
  return PAIRS[high >> 10]! + PAIRS[high & 1_023]! + PAIRS[low >> 10]! + PAIRS[low & 1_023]!;
}
