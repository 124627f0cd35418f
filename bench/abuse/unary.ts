import { setTimeout as sleep } from 'node:timers/promises';
import { status as grpcStatus } from '@grpc/grpc-js';
import { AccountType, OpenAccountRequest } from '../../src/gen/payment/v1/account.ts';
import { AuthorizePaymentRequest, GetAccountBalanceRequest } from '../../src/gen/payment/v1/payment.ts';
import { accountName, CURRENCY } from '../load/accounts.ts';
import { connectFrames } from '../load/frames-connection.ts';
import { type Running, Tally } from './abuse.ts';

const WAVE_CONNECTIONS = 8;
const CALLS_PER_CONNECTION = 1_000;
/** A wave begins so long after the one before, or when that is over. */
const WAVE_EVERY_MS = 1_000;
/** Five times a second. */
const PAYMENT_EVERY_MS = 200;
/** Longer than any call may take to be answered. */
const DRAIN_MS = 35_000;

/** Waves of so many new accounts as there are calls in a wave. */
export function openInWaves(address: string): Promise<Running> {
  const prefix = `abuse-${Date.now().toString(36)}`;
  let opened = 0;
  return inWaves(address, '/payment.v1.AccountService/OpenAccount', () => {
    opened += 1;
    return OpenAccountRequest.encode({
      accountId: `${prefix}-${opened}`,
      currency: CURRENCY,
      type: AccountType.ACCOUNT_TYPE_CUSTOMER,
      overdraftLimitCents: 0n,
    }).finish();
  });
}

/** Waves of reads of any of so many accounts. */
export function readInWaves(address: string, accounts: number): Promise<Running> {
  let read = 0;
  return inWaves(address, '/payment.v1.PaymentService/GetAccountBalance', () => {
    read += 1;
    return GetAccountBalanceRequest.encode({ accountId: accountName(read % accounts) }).finish();
  });
}

/** Pays again and again from one account to another; always with the same key if one is given. */
export async function paySteadily(
  address: string,
  { payer, payee, key }: { readonly payer: string; readonly payee: string; readonly key?: string },
): Promise<Running> {
  const calls = await CountedCalls.connect(address, '/payment.v1.PaymentService/AuthorizePayment', 1);
  const pay = () =>
    calls.call(
      AuthorizePaymentRequest.encode({
        idempotencyKey: key ?? crypto.randomUUID(),
        payerAccountId: payer,
        payeeAccountId: payee,
        amountCents: 1n,
        currency: CURRENCY,
        description: '',
        reference: '',
        metadata: {},
      }).finish(),
    );
  pay();
  const timer = setInterval(pay, PAYMENT_EVERY_MS);
  return {
    stop() {
      clearInterval(timer);
      return calls.close();
    },
  };
}

async function inWaves(address: string, path: string, next: () => Uint8Array): Promise<Running> {
  const calls = await CountedCalls.connect(address, path, WAVE_CONNECTIONS);
  const send = () => {
    if (calls.inFlight > 0) return;
    for (let i = 0; i < WAVE_CONNECTIONS * CALLS_PER_CONNECTION; i++) calls.call(next());
  };
  send();
  const timer = setInterval(send, WAVE_EVERY_MS);
  return {
    stop() {
      clearInterval(timer);
      return calls.close();
    },
  };
}

type Connection = Awaited<ReturnType<typeof connectFrames>>;

/** Unary calls over several connections, counted by how they ended. */
class CountedCalls {
  readonly #connections: Connection[] = [];
  readonly #tally = new Tally();
  #made = 0;
  #broken = false;
  inFlight = 0;

  static async connect(address: string, path: string, connections: number): Promise<CountedCalls> {
    const calls = new CountedCalls();
    const onError = () => {
      calls.#broken = true;
    };
    for (let i = 0; i < connections; i++) calls.#connections.push(await connectFrames(address, path, onError));
    return calls;
  }

  call(message: Uint8Array): void {
    this.#made += 1;
    this.inFlight += 1;
    this.#connections[this.#made % this.#connections.length]!.call(message, {
      replied: (status) => {
        this.inFlight -= 1;
        this.#tally.add(grpcStatus[status]!);
      },
    });
  }

  /** Waits for the answers, unless a connection broke. */
  async close(): Promise<Tally['outcomes']> {
    const giveUpAt = performance.now() + DRAIN_MS;
    while (this.inFlight > 0 && !this.#broken && performance.now() < giveUpAt) await sleep(5);
    for (const connection of this.#connections) connection.close();
    return { ...this.#tally.outcomes, ...(this.inFlight > 0 && { unanswered: this.inFlight }) };
  }
}
