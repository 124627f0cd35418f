import {
  AuthorizePaymentRequest,
  CapturePaymentRequest,
  ExecutePaymentBatchRequest,
} from '../../src/gen/payment/v1/payment.ts';
import { ACCOUNT_NAME_LENGTH, accountName, CURRENCY } from './accounts.ts';
import type { Calls, Pattern } from './job.ts';
import { actionOutcome, batchOutcome, paymentOutcome } from './outcomes.ts';
import { type Random, random, zipf } from './random.ts';
import { readSource } from './read-calls.ts';

/** Requests ready to send, and what their replies mean. */
export interface CallSource {
  /** /package.Service/Method */
  readonly path: string;
  /** The next request; its bytes are good until the one after. */
  next(): Uint8Array;
  /** What a reply with status OK says. */
  outcome(reply: Uint8Array): string;
}

export function callSource(calls: Calls, seed: number): CallSource {
  const uniform = random(seed);
  switch (calls.kind) {
    case 'authorize':
      return authorize(drawPair(calls.pattern, calls.accounts, uniform), (key) => writeRandomKey(key, uniform));
    case 'hold':
      return hold(drawPair('uniform', calls.accounts, uniform), (key) => writeRandomKey(key, uniform));
    case 'batch':
      return batch(calls.transfers, drawPair('uniform', calls.accounts, uniform), (key) =>
        writeRandomKey(key, uniform),
      );
    case 'capture':
    case 'refund':
      return later(calls.kind, calls.paymentIds, (key) => writeRandomKey(key, uniform));
    case 'duplicate':
      return duplicate(calls.accounts, calls.keys, uniform);
    case 'balance':
    case 'payment':
    case 'statement':
    case 'snapshot':
      return readSource(calls, uniform);
  }
}

/** Numbers of two accounts that differ. */
type DrawPair = () => readonly [payer: number, payee: number];

function drawPair(pattern: Pattern, accounts: number, uniform: Random): DrawPair {
  const one = pattern === 'zipf' ? zipf(accounts, uniform) : () => uniform(pattern === 'hot' ? 2 : accounts);
  return () => {
    const payer = one();
    for (;;) {
      const payee = one();
      if (payee !== payer) return [payer, payee];
    }
  };
}

const KEY_LENGTH = 36;

/** Payments of 1 to 1.27 in the currency; one buffer is rewritten for each, since all are of one length. */
function authorize(pair: DrawPair, writeKey: (key: Uint8Array) => void): CallSource {
  const marks = {
    key: 'k'.repeat(KEY_LENGTH),
    payer: 'p'.repeat(ACCOUNT_NAME_LENGTH),
    payee: 'q'.repeat(ACCOUNT_NAME_LENGTH),
  };
  const message = Buffer.from(
    AuthorizePaymentRequest.encode({
      idempotencyKey: marks.key,
      payerAccountId: marks.payer,
      payeeAccountId: marks.payee,
      amountCents: 1n,
      currency: CURRENCY,
      description: 'Invoice 2024-000123',
      reference: '',
      metadata: {},
    }).finish(),
  );
  const keyAt = message.indexOf(marks.key);
  const key = message.subarray(keyAt, keyAt + KEY_LENGTH);
  const payerAt = message.indexOf(marks.payer);
  const payeeAt = message.indexOf(marks.payee);
  return {
    path: '/payment.v1.PaymentService/AuthorizePayment',
    next() {
      const [payer, payee] = pair();
      writeKey(key);
      message.write(accountName(payer), payerAt, 'latin1');
      message.write(accountName(payee), payeeAt, 'latin1');
      return message;
    },
    outcome: paymentOutcome,
  };
}

/** The fields of a hold are those of a payment, under the same numbers. */
function hold(pair: DrawPair, writeKey: (key: Uint8Array) => void): CallSource {
  return { ...authorize(pair, writeKey), path: '/payment.v1.PaymentService/HoldPayment', outcome: actionOutcome };
}

function batch(transfers: number, pair: DrawPair, writeKey: (key: Uint8Array) => void): CallSource {
  const mark = (letter: string, n: number) => letter + String(n).padStart(ACCOUNT_NAME_LENGTH - 1, '0');
  const items = Array.from({ length: transfers }, (_, n) => ({
    transfer: {
      payerAccountId: mark('p', n),
      payeeAccountId: mark('q', n),
      amountCents: 1n,
      currency: CURRENCY,
      description: 'Invoice 2024-000123',
      reference: '',
      metadata: {},
    },
  }));
  const idempotencyKey = 'k'.repeat(KEY_LENGTH);
  const message = Buffer.from(ExecutePaymentBatchRequest.encode({ idempotencyKey, items }).finish());
  const keyAt = message.indexOf(idempotencyKey);
  const key = message.subarray(keyAt, keyAt + KEY_LENGTH);
  const places = items.map((_, n) => [message.indexOf(mark('p', n)), message.indexOf(mark('q', n))] as const);
  return {
    path: '/payment.v1.PaymentService/ExecutePaymentBatch',
    next() {
      writeKey(key);
      for (const [payerAt, payeeAt] of places) {
        const [payer, payee] = pair();
        message.write(accountName(payer), payerAt, 'latin1');
        message.write(accountName(payee), payeeAt, 'latin1');
      }
      return message;
    },
    outcome: batchOutcome,
  };
}

const PAYMENT_ID_LENGTH = 26;

/** Both requests have the same fields, but for one that stays empty. */
function later(
  kind: 'capture' | 'refund',
  paymentIds: readonly string[],
  writeKey: (key: Uint8Array) => void,
): CallSource {
  const marks = { key: 'k'.repeat(KEY_LENGTH), paymentId: 'p'.repeat(PAYMENT_ID_LENGTH) };
  const message = Buffer.from(
    CapturePaymentRequest.encode({
      idempotencyKey: marks.key,
      paymentId: marks.paymentId,
      amountCents: undefined,
      keepRemainder: false,
      description: 'Invoice 2024-000123',
      reference: '',
      metadata: {},
    }).finish(),
  );
  const keyAt = message.indexOf(marks.key);
  const key = message.subarray(keyAt, keyAt + KEY_LENGTH);
  const paymentAt = message.indexOf(marks.paymentId);
  let n = 0;
  return {
    path: `/payment.v1.PaymentService/${kind === 'capture' ? 'CapturePayment' : 'RefundPayment'}`,
    next() {
      const paymentId = paymentIds[n++];
      if (paymentId === undefined)
        throw new Error(`There are no payments left to ${kind}: ${paymentIds.length} are not enough`);
      writeKey(key);
      message.write(paymentId, paymentAt, 'latin1');
      return message;
    },
    outcome: actionOutcome,
  };
}

/** Each key goes with the same two accounts every time. */
function duplicate(accounts: number, keys: number, uniform: Random): CallSource {
  let n = 0;
  return authorize(
    () => {
      n = uniform(keys);
      return [n % accounts, (n + 1) % accounts];
    },
    (key) =>
      Buffer.from(key.buffer, key.byteOffset, KEY_LENGTH).write(`repeated-${String(n).padStart(KEY_LENGTH - 9, '0')}`),
  );
}

const HEX = Buffer.from('0123456789abcdef');

/** A random UUID in form. Random, as callers' keys are: keys in order would be kinder to the index than life is. */
function writeRandomKey(key: Uint8Array, uniform: Random): void {
  let bits = 0;
  for (let i = 0; i < KEY_LENGTH; i++) {
    if (i === 8 || i === 13 || i === 18 || i === 23) {
      key[i] = 0x2d;
      continue;
    }
    if ((i & 3) === 0) bits = uniform(2 ** 32);
    key[i] = HEX[bits & 15]!;
    bits >>>= 4;
  }
}
