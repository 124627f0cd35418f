import { decodeTime, ulid, ulidToUUID, uuidToULID } from 'ulid';
import { describe, expect, test } from 'vitest';
import { isUlid, lowestUlid, monotonicUlids, timeOfUlid, ulidToUuid, uuidToUlid } from '../../../src/app/ulid.ts';

// The ulid package is the oracle.

describe('ulidToUuid and uuidToUlid', () => {
  test('agree with the ulid package', () => {
    const uuids = Array.from({ length: 1_000 }, () => crypto.randomUUID() as string);
    uuids.push('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    for (const uuid of uuids) {
      expect(uuidToUlid(uuid)).toBe(uuidToULID(uuid));
      expect(ulidToUuid(uuidToUlid(uuid))).toBe(uuid);
    }
    const id = ulid();
    expect(ulidToUuid(id)).toBe(ulidToUUID(id).toLowerCase());
  });

  test('reject what is not one', () => {
    for (const text of ['', 'x', '81ARZ3NDEKTSV4RRFFQ69G5FAV', '01ARZ3NDEKTSV4RRFFQ69G5FAU', `${ulid()}0`]) {
      expect(() => ulidToUuid(text)).toThrow('Not a ULID');
      expect(() => uuidToUlid(text)).toThrow('Not a uuid');
    }
  });
});

describe('isUlid', () => {
  test('tells ULIDs in capitals from other text', () => {
    expect(isUlid(ulid())).toBe(true);
    for (const text of ['', ulid().toLowerCase(), `8${ulid().slice(1)}`, `${ulid()}0`, ulid().replace(/.$/, 'U')]) {
      expect(isUlid(text)).toBe(false);
    }
  });
});

describe('the time of a ULID', () => {
  const TIMES_MS = [1, 31, 32, 1_795_000_000_123, 2 ** 48 - 1];

  test.each(TIMES_MS)('is as the ulid package reads it: %d', (timeMs) => {
    expect(timeOfUlid(ulid(timeMs))).toBe(timeMs);
    expect(decodeTime(lowestUlid(timeMs))).toBe(timeMs);
  });

  test('puts it between the lowest of its millisecond and of the next', () => {
    for (const timeMs of TIMES_MS.slice(0, -1)) {
      const id = ulid(timeMs);
      expect(lowestUlid(timeMs) <= id && id < lowestUlid(timeMs + 1)).toBe(true);
    }
  });

  test('stays within what a ULID can hold', () => {
    expect(lowestUlid(-1)).toBe(lowestUlid(0));
    expect(lowestUlid(2 ** 48)).toBe(lowestUlid(2 ** 48 - 1));
  });
});

describe('monotonicUlids', () => {
  test('rises within a millisecond and when the clock goes back, and tells the time', () => {
    let ms = 1_700_000_000_000;
    const next = monotonicUlids(() => ms);
    const ids = Array.from({ length: 10_000 }, () => next());
    ms -= 5_000;
    ids.push(next());
    ms += 10_000;
    ids.push(next());
    expect(ids.toSorted()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
    expect(decodeTime(ids[0]!)).toBe(1_700_000_000_000);
    expect(decodeTime(ids.at(-1)!)).toBe(1_700_000_005_000);
    for (const id of ids) expect(ulidToUuid(id)).toMatch(/^[0-9a-f-]{36}$/);
  });
});
