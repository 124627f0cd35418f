import { describe, expect, test } from 'vitest';
import { alternativeNames } from '../../../../src/api/access/identity/client-certificate.ts';

describe('alternativeNames', () => {
  test('URIs first, then DNS names, and nothing else', () => {
    const text = 'DNS:a.example, IP Address:127.0.0.1, URI:spiffe://b/c, othername:<unsupported>, DNS:d.example';
    expect(alternativeNames(text)).toEqual(['spiffe://b/c', 'a.example', 'd.example']);
  });

  test('a name that holds another is left out', () => {
    expect(alternativeNames('URI:"spiffe://a/, DNS:b.example", DNS:c.example')).toEqual(['c.example']);
    expect(alternativeNames('DNS:"a\\", DNS:b.example"')).toEqual([]);
  });

  test('no name is no name', () => {
    expect(alternativeNames('')).toEqual([]);
  });
});
