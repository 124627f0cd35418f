import { describe, expect, test } from 'vitest';
import {
  CallFailedError,
  DeadlineExceededError,
  type FailedCall,
  IdempotencyKeyReusedError,
  NotFoundError,
  PermissionDeniedError,
  UnavailableError,
} from '../../../packages/client/src/call-errors.ts';
import {
  ActionDeclinedError,
  type LedgerError,
  OutcomeUnknownError,
  PaymentDeclinedError,
  RateLimitedError,
  TokenError,
} from '../../../packages/client/src/errors.ts';
import {
  authorizedOrThrow,
  completedOrThrow,
  heldOrThrow,
  paymentFailure,
} from '../../../packages/client/src/outcome.ts';
import {
  AuthorizePaymentResponse,
  CapturePaymentResponse,
  HoldPaymentResponse,
  PaymentErrorCode,
  PaymentStatus,
} from '../../../src/gen/payment/v1/payment.ts';

const {
  PAYMENT_STATUS_AUTHORIZED: AUTHORIZED,
  PAYMENT_STATUS_DECLINED: DECLINED,
  PAYMENT_STATUS_DUPLICATE: DUPLICATE,
} = PaymentStatus;
const INSUFFICIENT = { code: PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS, message: 'Too little.' };
const LIMITED = { code: PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED, message: 'Too often.', retryAfterMs: 70n };

const read = (response: object) => authorizedOrThrow(AuthorizePaymentResponse.fromPartial(response), 'key-1');

const readHold = (response: object) => heldOrThrow(HoldPaymentResponse.fromPartial(response), 'key-1');
const readCapture = (response: object) => completedOrThrow(CapturePaymentResponse.fromPartial(response), 'key-1');

function thrown(response: object, reader: (response: object) => unknown = read): LedgerError {
  try {
    reader(response);
  } catch (error) {
    return error as LedgerError;
  }
  throw new Error('the answer was taken for a payment');
}

const times = { paymentId: 'P', processedAt: '2026-01-01T00:00:00.000Z' };

test.each([
  ['AUTHORIZED', { ...times, status: AUTHORIZED }, false],
  ['DUPLICATE of it', { ...times, status: DUPLICATE, originalStatus: AUTHORIZED }, true],
])('%s is a payment', (_case, response, duplicate) => {
  expect(read(response)).toEqual({ ...times, duplicate });
});

test.each([
  ['DECLINED', { ...times, status: DECLINED, error: INSUFFICIENT }, { paymentId: 'P', duplicate: false }],
  [
    'DUPLICATE of it',
    { ...times, status: DUPLICATE, originalStatus: DECLINED, error: INSUFFICIENT },
    { paymentId: 'P', duplicate: true },
  ],
  [
    'DECLINED with nothing stored',
    { status: DECLINED, error: INSUFFICIENT },
    { paymentId: undefined, duplicate: false },
  ],
])('%s is a PaymentDeclinedError', (_case, response, expected) => {
  const error = thrown(response);
  expect(error).toBeInstanceOf(PaymentDeclinedError);
  expect(error).toMatchObject({ code: 'INSUFFICIENT_FUNDS', idempotencyKey: 'key-1', ...expected });
});

test('RATE_LIMITED is no decline, as an earlier call with the key may have paid', () => {
  const error = thrown({ status: DECLINED, error: LIMITED });
  expect(error).toBeInstanceOf(RateLimitedError);
  expect(error).not.toBeInstanceOf(PaymentDeclinedError);
  expect(error).toMatchObject({ retryAfterMs: 70, idempotencyKey: 'key-1' });
});

test.each([
  ['a status that it does not know', { ...times, status: 77 }],
  ['a DUPLICATE whose original has one', { ...times, status: DUPLICATE, originalStatus: 77 }],
  ['a DUPLICATE that does not say what its original was', { ...times, status: DUPLICATE }],
])('%s is not taken for a payment, nor for a decline', (_case, response) => {
  const error = thrown(response);
  expect(error.name).toBe('LedgerError');
  expect(error.message).toContain('Payment P');
});

test('a decline code that it does not know is a decline', () => {
  expect(thrown({ ...times, status: DECLINED, error: { code: 77 } })).toMatchObject({ code: 'UNRECOGNIZED_77' });
});

describe('the answer to a hold, or to an action on a payment', () => {
  const payment = { paymentId: 'P', status: PaymentStatus.PAYMENT_STATUS_HELD, heldCents: 7n };
  const done = { actionId: 'A', paymentId: 'P', amountCents: 3n };

  test.each([readHold, readCapture])('is done, by this call or an earlier one', (reader) => {
    for (const replayed of [false, true]) {
      expect(reader({ action: done, payment, replayed })).toMatchObject({
        action: { actionId: 'A', amountCents: 3n, decline: undefined },
        payment: { paymentId: 'P', status: 'HELD', heldCents: 7n, expiresAt: undefined },
        duplicate: replayed,
      });
    }
  });

  test.each([false, true])('of a declined hold is a PaymentDeclinedError, replayed: %s', (replayed) => {
    const error = thrown({ action: { ...done, error: INSUFFICIENT }, payment, replayed }, readHold);
    expect(error).toBeInstanceOf(PaymentDeclinedError);
    expect(error).toMatchObject({ code: 'INSUFFICIENT_FUNDS', paymentId: 'P', duplicate: replayed });
  });

  test('of a hold that was not stored names no payment', () => {
    expect(thrown({ action: { error: INSUFFICIENT } }, readHold)).toMatchObject({
      name: 'PaymentDeclinedError',
      paymentId: undefined,
    });
  });

  test.each([false, true])(
    'of a declined action is an ActionDeclinedError with the payment, replayed: %s',
    (replayed) => {
      const action = { ...done, error: { code: PaymentErrorCode.PAYMENT_ERROR_CODE_AMOUNT_EXCEEDS_HELD } };
      const error = thrown({ action, payment, replayed }, readCapture);
      expect(error).toBeInstanceOf(ActionDeclinedError);
      expect(error).toMatchObject({
        code: 'AMOUNT_EXCEEDS_HELD',
        idempotencyKey: 'key-1',
        action: { actionId: 'A', decline: { code: 'AMOUNT_EXCEEDS_HELD' } },
        payment: { heldCents: 7n },
        duplicate: replayed,
      });
    },
  );

  test('of an action that was not stored has no action', () => {
    const error = thrown({ action: { paymentId: 'P', error: INSUFFICIENT }, payment }, readCapture);
    expect(error).toMatchObject({ name: 'ActionDeclinedError', action: undefined, payment: { paymentId: 'P' } });
  });

  test.each([readHold, readCapture])('RATE_LIMITED is no decline', (reader) => {
    expect(thrown({ action: { error: LIMITED } }, reader)).toMatchObject({
      name: 'RateLimitedError',
      retryAfterMs: 70,
    });
  });

  test.each([readHold, readCapture])('without what it is to bring is not taken for done', (reader) => {
    for (const response of [{}, { payment }, { action: done }, { action: { paymentId: 'P' }, payment }]) {
      expect(thrown(response, reader).name).toBe('LedgerError');
    }
  });
});

describe('what a call with a key throws after several attempts', () => {
  const call = (status: string, reason?: string): FailedCall => ({
    status,
    reason,
    requestId: undefined,
    retryAfterMs: undefined,
  });
  const unavailable = new UnavailableError('down', call('UNAVAILABLE'));
  const overloaded = new UnavailableError('full', call('RESOURCE_EXHAUSTED', 'OVERLOADED'));
  const late = new DeadlineExceededError('late', call('DEADLINE_EXCEEDED'));
  const denied = new PermissionDeniedError('no', call('PERMISSION_DENIED', 'SCOPE_MISSING'));
  const internal = new CallFailedError('oops', call('INTERNAL'));
  const missing = new NotFoundError('none', call('NOT_FOUND', 'NOT_FOUND'));
  const noToken = new TokenError('none');
  const limited = new RateLimitedError('often', { idempotencyKey: 'key-1', retryAfterMs: 1 });
  const reused = new IdempotencyKeyReusedError('other', call('ALREADY_EXISTS'), 'P', ['amount_cents']);
  const declined = new PaymentDeclinedError('poor', {
    code: 'INSUFFICIENT_FUNDS',
    idempotencyKey: 'key-1',
    paymentId: 'P',
    duplicate: true,
  });

  test.each([
    [[overloaded]],
    [[denied]],
    [[missing]],
    [[noToken]],
    [[limited]],
    [[overloaded, limited]],
    [[reused]],
    [[declined]],
  ])('nothing may have been stored: the last error itself', (failures: LedgerError[]) =>
    expect(paymentFailure(failures, 'key-1')).toBe(failures.at(-1)),
  );

  test.each([
    [[unavailable]],
    [[late]],
    [[internal]],
    [[unavailable, overloaded]],
    [[unavailable, denied]],
    [[unavailable, missing]],
    [[unavailable, noToken]],
    [[unavailable, limited]],
  ])(
    'an attempt may have paid: the outcome is unknown, whatever a later one says of itself',
    (failures: LedgerError[]) => {
      const error = paymentFailure(failures, 'key-1');
      expect(error).toBeInstanceOf(OutcomeUnknownError);
      expect(error).toMatchObject({ idempotencyKey: 'key-1', cause: failures.at(-1) });
    },
  );

  test.each([[[unavailable, declined]], [[unavailable, reused]]])(
    'a later answer about the payment itself tells',
    (failures: LedgerError[]) => expect(paymentFailure(failures, 'key-1')).toBe(failures.at(-1)),
  );
});
