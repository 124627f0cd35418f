import {
  AuthorizePaymentRequest,
  GetAccountBalanceRequest,
  GetPaymentRequest,
} from '../../src/gen/payment/v1/payment.ts';
import { ACCOUNT_NAME_LENGTH, accountName, CURRENCY } from './accounts.ts';
import type { Calls, Pattern } from './job.ts';
import { type Random, random, zipf } from './random.ts';

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
    case 'duplicate':
      return duplicate(calls.accounts, calls.keys, uniform);
    case 'balance':
      return read('GetAccountBalance', calls.accounts, uniform, (n) =>
        GetAccountBalanceRequest.encode({ accountId: accountName(n) }).finish(),
      );
    case 'payment':
      return read('GetPayment', calls.paymentIds.length, uniform, (n) =>
        GetPaymentRequest.encode({ paymentId: calls.paymentIds[n]!, idempotencyKey: '' }).finish(),
      );
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
    outcome: (reply) => STATUS[paymentStatus(reply)] ?? 'UNSPECIFIED',
  };
}

const STATUS = ['UNSPECIFIED', 'AUTHORIZED', 'DECLINED', 'DUPLICATE'];

/** The field status = 2 of AuthorizePaymentResponse, behind payment_id = 1, which has 26 characters or is left out. */
function paymentStatus(reply: Uint8Array): number {
  const at = reply[0] === 0x0a ? 2 + reply[1]! : 0;
  return reply[at] === 0x10 ? reply[at + 1]! : 0;
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

/** Reads of any of so many things, with requests made beforehand. */
function read(method: string, count: number, uniform: Random, encode: (n: number) => Uint8Array): CallSource {
  const messages = Array.from({ length: count }, (_, n) => encode(n));
  return {
    path: `/payment.v1.PaymentService/${method}`,
    next: () => messages[uniform(count)]!,
    outcome: (reply) => (reply.length > 0 ? 'OK' : 'EMPTY'),
  };
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
