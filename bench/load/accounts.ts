/** The name of the n-th account of a benchmark, always twelve characters; the fill and the load agree on it. */
export function accountName(n: number): string {
  return `bench-${String(n).padStart(6, '0')}`;
}

export const ACCOUNT_NAME_LENGTH = 12;
export const CURRENCY = 'EUR';
