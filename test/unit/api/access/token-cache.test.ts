import { describe, expect, test } from 'vitest';
import { ANYONE } from '../../../../src/api/access/caller.ts';
import { TokenCache } from '../../../../src/api/access/identity/token-cache.ts';

describe('TokenCache', () => {
  test('a token is known until it expires, and not after it was forgotten', () => {
    const cache = new TokenCache();
    cache.keep('token', ANYONE, 1_000);
    expect(cache.find('token', 999)).toBe(ANYONE);
    expect(cache.find('another', 999)).toBeUndefined();
    expect(cache.find('token', 1_000)).toBeUndefined();
    cache.keep('token', ANYONE, 1_000);
    cache.clear();
    expect(cache.find('token', 0)).toBeUndefined();
  });

  test('it is bounded, and the longest unused goes first', () => {
    const cache = new TokenCache(2);
    cache.keep('one', ANYONE, 1_000);
    cache.keep('two', ANYONE, 1_000);
    cache.find('one', 0);
    cache.keep('three', ANYONE, 1_000);
    expect(['one', 'two', 'three'].map((token) => cache.find(token, 0) === ANYONE)).toEqual([true, false, true]);
  });
});
