// Array literals, https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO. pg makes
// them too, but quotes and escapes every element by two regular expressions, which in a
// batch of payments is some thousand times.

/** An array of numbers, uuids or labels of an enum: what never needs quotes. null and undefined become NULL. */
export function plainArray(values: readonly (string | number | bigint | null | undefined)[]): string {
  let literal = '{';
  for (let i = 0; i < values.length; i++) {
    if (i > 0) literal += ',';
    literal += values[i] ?? 'NULL';
  }
  return `${literal}}`;
}

/** An array of texts. null and undefined become NULL. */
export function textArray(values: readonly (string | null | undefined)[]): string {
  let literal = '{';
  for (let i = 0; i < values.length; i++) {
    if (i > 0) literal += ',';
    const value = values[i];
    literal += value === null || value === undefined ? 'NULL' : `"${SPECIAL.test(value) ? escaped(value) : value}"`;
  }
  return `${literal}}`;
}

/** An array of JSON documents. */
export function jsonArray(documents: readonly object[]): string {
  const texts = documents.map((document) => JSON.stringify(document));
  // JSON has no control characters left in it, and then JSON's quoting is that of an array.
  return `{${JSON.stringify(texts).slice(1, -1)}}`;
}

const SPECIAL = /["\\]/;

function escaped(value: string): string {
  return value.replace(/["\\]/g, '\\$&');
}
