import { AccountType, OpenAccountRequest, OpenAccountResponse } from '../../src/gen/payment/v1/account.ts';
import {
  AuthorizePaymentRequest,
  AuthorizePaymentResponse,
  GetAccountBalanceRequest,
  GetAccountBalanceResponse,
  GetPaymentRequest,
  GetPaymentResponse,
  PaymentErrorCode,
  PaymentStatus,
} from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../client.ts';
import type { Transcript } from './transcript.ts';

/** Small enough for the demo to empty a bucket. */
export const BUCKET_TOKENS = 5;

const AUTHORIZED = PaymentStatus.PAYMENT_STATUS_AUTHORIZED;
const DECLINED = PaymentStatus.PAYMENT_STATUS_DECLINED;
const DUPLICATE = PaymentStatus.PAYMENT_STATUS_DUPLICATE;

/** The calls. Returns how many accounts and payments they stored, which is how many events there must be. */
export async function callEverything(transcript: Transcript, client: LedgerClient, run: string): Promise<number> {
  const [world, alice, bob] = [`world-${run}`, `alice-${run}`, `bob-${run}`];
  const pay = (title: string, request: Partial<AuthorizePaymentRequest>, expected: object) =>
    transcript.step(
      title,
      [AuthorizePaymentRequest, AuthorizePaymentResponse],
      request,
      client.authorize(request),
      expected,
    );
  const open = (title: string, accountId: string, type: AccountType) => {
    const request = { accountId, currency: 'RUB', type };
    const call = client.open(accountId, request).then((account) => ({ account }));
    return transcript.step(title, [OpenAccountRequest, OpenAccountResponse], request, call, { account: { accountId } });
  };

  await open('Open an account for the world outside', world, AccountType.ACCOUNT_TYPE_EXTERNAL);
  await open('Open an account for Alice', alice, AccountType.ACCOUNT_TYPE_CUSTOMER);
  await open('Open an account for Bob', bob, AccountType.ACCOUNT_TYPE_CUSTOMER);

  const fund = {
    idempotencyKey: `fund-${run}`,
    payerAccountId: world,
    payeeAccountId: alice,
    amountCents: 100_000n,
    currency: 'RUB',
  };
  await pay('Fund Alice by a payment from outside', fund, { status: AUTHORIZED });

  const lunch = {
    ...fund,
    idempotencyKey: `lunch-${run}`,
    payerAccountId: alice,
    payeeAccountId: bob,
    amountCents: 2_500n,
  };
  const paymentId = (await pay('Alice pays Bob', lunch, { status: AUTHORIZED }))?.paymentId ?? '';
  await pay('The same request again: the same payment, once', lunch, { status: DUPLICATE, paymentId });
  await pay('The same key for another amount', { ...lunch, amountCents: 9_900n }, { code: 'ALREADY_EXISTS' });
  const tooMuch = { ...lunch, idempotencyKey: `much-${run}`, amountCents: 1_000_000n };
  await pay('More than Alice has', tooMuch, {
    status: DECLINED,
    error: { code: PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS },
  });

  const burst = { ...lunch, payerAccountId: bob, payeeAccountId: alice, amountCents: 1n };
  for (let i = 1; i <= BUCKET_TOKENS; i++) {
    const title = `Bob's bucket holds ${BUCKET_TOKENS} tokens: ${i}`;
    await pay(title, { ...burst, idempotencyKey: `burst-${i}-${run}` }, { status: AUTHORIZED });
  }
  await pay(
    "Bob's bucket is empty",
    { ...burst, idempotencyKey: `burst-more-${run}` },
    {
      status: DECLINED,
      paymentId: '',
      error: { code: PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED },
    },
  );

  const read = client.payment(paymentId).then((payment) => ({ payment }));
  await transcript.step('Read the payment', [GetPaymentRequest, GetPaymentResponse], { paymentId }, read, {
    payment: { paymentId, amountCents: 2_500n, status: AUTHORIZED },
  });
  const balance = client.balance(alice);
  await transcript.step(
    'Read what Alice has',
    [GetAccountBalanceRequest, GetAccountBalanceResponse],
    { accountId: alice },
    balance,
    {
      availableBalanceCents: 100_000n - 2_500n + BigInt(BUCKET_TOKENS),
    },
  );
  // Three openings, funding, lunch, the decline, and the burst.
  return 6 + BUCKET_TOKENS;
}
