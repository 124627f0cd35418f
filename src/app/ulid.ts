import { randomFillSync } from 'node:crypto';

// ULIDs (https://github.com/ulid/spec), the time in them and the uuids of the same 128 bits.
// As text they sort as their bytes do. Each payment makes one and converts it several
// times, and the ulid package, which goes by arrays and regular expressions, took a tenth
// of the API's time. These write into one buffer.

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const HEX = '0123456789abcdef';

const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const TIME_LENGTH = 10;
const ULID_LENGTH = 26;
const MAX_TIME_MS = 2 ** 48 - 1;
const UUID_LENGTH = 36;

/** By the code of a character: the value of the digit. */
const digitOf = digits(ALPHABET);
const hexDigitOf = digits(HEX);
const codeOf = Buffer.from(ALPHABET);
const hexCodeOf = Buffer.from(HEX);

const ulidBuffer = Buffer.alloc(ULID_LENGTH);
const uuidBuffer = Buffer.from('00000000-0000-0000-0000-000000000000');

/** In capitals, as the API makes them. */
export function isUlid(text: string): boolean {
  return ULID.test(text);
}

/** Milliseconds since 1970. A payment id's is when its call came in, by the clock of its replica. */
export function timeOfUlid(ulid: string): number {
  let ms = 0;
  for (let i = 0; i < TIME_LENGTH; i++) ms = ms * 32 + digitOf[ulid.charCodeAt(i)]!;
  return ms;
}

/** The lowest ULID of that millisecond; times before 1970 or after all ULIDs count as the first or the last. */
export function lowestUlid(timeMs: number): string {
  const ulid = Buffer.alloc(ULID_LENGTH, ALPHABET[0]);
  writeTime(ulid, Math.min(Math.max(0, Math.trunc(timeMs)), MAX_TIME_MS));
  return ulid.toString('latin1');
}

/** The uuid as Postgres writes it, in small letters. Throws if the text is no ULID in capitals. */
export function ulidToUuid(ulid: string): string {
  if (!ULID.test(ulid)) throw new Error(`Not a ULID: ${ulid}`);
  // 26 digits of 5 bits hold 130: the first two are zero.
  let bits = 0;
  let count = -2;
  let at = 0;
  for (let i = 0; i < ULID_LENGTH; i++) {
    bits = ((bits << 5) | digitOf[ulid.charCodeAt(i)]!) & 0xfff;
    count += 5;
    while (count >= 4) {
      count -= 4;
      if (isDash(at)) at += 1;
      uuidBuffer[at] = hexCodeOf[(bits >>> count) & 15]!;
      at += 1;
    }
  }
  return uuidBuffer.toString('latin1');
}

/** The ULID in capitals. Throws if the text is no uuid in small letters. */
export function uuidToUlid(uuid: string): string {
  if (!UUID.test(uuid)) throw new Error(`Not a uuid: ${uuid}`);
  let bits = 0;
  let count = 2;
  let at = 0;
  for (let i = 0; i < UUID_LENGTH; i++) {
    if (isDash(i)) continue;
    bits = ((bits << 4) | hexDigitOf[uuid.charCodeAt(i)]!) & 0xfff;
    count += 4;
    if (count < 5) continue;
    count -= 5;
    ulidBuffer[at] = codeOf[(bits >>> count) & 31]!;
    at += 1;
  }
  return ulidBuffer.toString('latin1');
}

/**
 * Makes ULIDs that rise: within one millisecond, or when the clock goes back, the
 * next is the last one plus one, as the specification has it.
 */
export function monotonicUlids(now: () => number = Date.now): () => string {
  const ulid = Buffer.alloc(ULID_LENGTH);
  const chance = Buffer.alloc(ULID_LENGTH - TIME_LENGTH);
  let lastMs = -1;
  return () => {
    const ms = now();
    if (ms > lastMs) {
      lastMs = ms;
      writeTime(ulid, ms);
      randomFillSync(chance);
      for (let i = 0; i < chance.length; i++) ulid[TIME_LENGTH + i] = codeOf[chance[i]! & 31]!;
    } else {
      increment(ulid);
    }
    return ulid.toString('latin1');
  };
}

function writeTime(ulid: Buffer, ms: number): void {
  let left = ms;
  for (let i = TIME_LENGTH - 1; i >= 0; i--) {
    ulid[i] = codeOf[left % 32]!;
    left = Math.floor(left / 32);
  }
}

/** Adds one to the random part. */
function increment(ulid: Buffer): void {
  for (let i = ULID_LENGTH - 1; i >= TIME_LENGTH; i--) {
    const digit = digitOf[ulid[i]!]!;
    if (digit < 31) {
      ulid[i] = codeOf[digit + 1]!;
      return;
    }
    ulid[i] = codeOf[0]!;
  }
  // One chance in 2^80 for each id of a millisecond.
  throw new Error('No ULID is left in this millisecond');
}

function isDash(position: number): boolean {
  return position === 8 || position === 13 || position === 18 || position === 23;
}

function digits(alphabet: string): Uint8Array {
  const values = new Uint8Array(128);
  for (const [value, character] of [...alphabet].entries()) values[character.charCodeAt(0)] = value;
  return values;
}
