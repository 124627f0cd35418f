import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { jsonArray, plainArray, textArray } from '../../../src/infra/postgres/array.ts';

const TEXT_ARRAY = 1009;
// The typings know the numbers of single types only.
const read = (pg.types.getTypeParser as (oid: number) => (literal: string) => string[])(TEXT_ARRAY);

const awkward = ['', 'plain', 'NULL', '"', '\\', 'a"b\\c', '{},', ' space ', 'line\nfeed\t\u0001', 'ё𝄞\u2028'];

describe('array literals', () => {
  test('give back the texts they were made of', () => {
    expect(read(textArray([...awkward, null, undefined]))).toEqual([...awkward, null, null]);
    expect(textArray([])).toBe('{}');
  });

  test('give back the documents they were made of', () => {
    const documents = awkward.map((text) => ({ text, nested: { [text]: 1 } }));
    expect(read(jsonArray(documents)).map((text) => JSON.parse(text))).toEqual(documents);
    expect(jsonArray([])).toBe('{}');
  });

  test('leave numbers, uuids and labels as they are', () => {
    expect(plainArray([1n, -2, 'AUTHORIZED', null, undefined])).toBe('{1,-2,AUTHORIZED,NULL,NULL}');
    expect(plainArray([])).toBe('{}');
  });
});
