import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { AUTHENTICATION_FAILURES } from '../../src/api/access/denials.ts';
import { PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';

// What a caller may meet and docs/clients.md does not name, nobody knows what to do about.
const page = readFileSync(new URL('../../docs/clients.md', import.meta.url), 'utf8');

function unnamed(names: readonly string[]): string[] {
  return names.filter((name) => !new RegExp(`\\b${name}\\b`).test(page));
}

function valuesOf(type: object, prefix: string): string[] {
  return Object.keys(type)
    .map((name) => name.slice(prefix.length))
    .filter((name) => name !== 'UNSPECIFIED');
}

test('docs/clients.md says what to do about each status and decline code', () => {
  expect(unnamed(valuesOf(PaymentStatus, 'PAYMENT_STATUS_'))).toEqual([]);
  expect(unnamed(valuesOf(PaymentErrorCode, 'PAYMENT_ERROR_CODE_'))).toEqual([]);
});

test('docs/clients.md names each reason of an ErrorInfo', () => {
  // In src/api/status.ts they are written out or the kinds of problems.
  const status = readFileSync(new URL('../../src/api/status.ts', import.meta.url), 'utf8');
  const written = [...status.matchAll(/errorInfo\('([A-Z_]+)'/g)].map(([, reason]) => reason!);
  expect(written).toContain('IDEMPOTENCY_KEY_REUSED');
  const access = ['SCOPE_MISSING', 'ACCOUNT_NOT_ALLOWED', 'CALLER_UNKNOWN'];
  const kinds = ['INVALID_REQUEST', 'NOT_FOUND', 'OVERLOADED', 'UNAVAILABLE', 'ABANDONED'];
  expect(unnamed([...AUTHENTICATION_FAILURES, ...written, ...access, ...kinds])).toEqual([]);
});
