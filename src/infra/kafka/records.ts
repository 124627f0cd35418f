/** What of a Kafka record is for its sender to say. */
export interface KafkaRecord {
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** The longest a length can be. */
const LENGTH_BYTES = 5;

/** All records are written into this one, which grows to the largest batch. */
let buffer = Buffer.allocUnsafeSlow(65_536);
let end = 0;

/**
 * The records as they stand in a batch of Kafka's message format 2, numbered from 0 and
 * with the time of the batch: https://kafka.apache.org/documentation/#record.
 */
export function encodeRecords(records: readonly KafkaRecord[]): Buffer {
  end = 0;
  for (let n = 0; n < records.length; n++) writeRecord(n, records[n]!);
  return Buffer.from(buffer.subarray(0, end));
}

function writeRecord(n: number, { key, value, headers }: KafkaRecord): void {
  // How long the length itself is shows only when what comes after it is written.
  const start = end;
  reserve(LENGTH_BYTES);
  end += LENGTH_BYTES;
  writeInteger(0); // Attributes: there are none.
  writeInteger(0); // Milliseconds after the time of the batch.
  writeInteger(n);
  writeText(key);
  writeText(value);
  const names = Object.keys(headers);
  writeInteger(names.length);
  for (const name of names) {
    writeText(name);
    writeText(headers[name]!);
  }
  const bodyEnd = end;
  const bodyStart = start + LENGTH_BYTES;
  end = start;
  writeInteger(bodyEnd - bodyStart);
  buffer.copyWithin(end, bodyStart, bodyEnd);
  end += bodyEnd - bodyStart;
}

function writeText(text: string | null): void {
  if (text === null) {
    writeInteger(-1);
    return;
  }
  const bytes = Buffer.byteLength(text);
  writeInteger(bytes);
  reserve(bytes);
  end += buffer.write(text, end);
}

/** Zigzag, then seven bits in a byte, the lowest first; for integers of up to 31 bits. */
function writeInteger(integer: number): void {
  reserve(LENGTH_BYTES);
  let rest = ((integer << 1) ^ (integer >> 31)) >>> 0;
  while (rest > 127) {
    buffer[end++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  buffer[end++] = rest;
}

function reserve(bytes: number): void {
  if (end + bytes <= buffer.length) return;
  const larger = Buffer.allocUnsafeSlow(2 * (end + bytes));
  buffer.copy(larger, 0, 0, end);
  buffer = larger;
}
