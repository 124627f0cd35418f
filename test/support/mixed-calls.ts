import { type ServiceError, status } from '@grpc/grpc-js';
import type { LedgerClient } from '../../tools/client.ts';
import { until } from './traffic.ts';

/** Callers that pay and read without end. */
export interface MixedCalls {
  /** Ids of the payments that were authorized or declined, as their callers asked for it. */
  readonly authorized: readonly string[];
  readonly declined: readonly string[];
  /** Each failed call: the method and what the failure says. An answer that is not what it should be is one too. */
  readonly failed: readonly string[];
  /** Calls that were answered. */
  readonly made: number;
  /** The longest time that a call took since the last time this was asked for, in milliseconds. */
  takeSlowestMs(): number;
  /** Resolves when so many more calls have been answered. */
  untilMade(more: number): Promise<void>;
  stop(): Promise<void>;
}

export interface MixedCallsOptions {
  readonly callers: number;
  /** How long each caller rests after a call. */
  readonly restMs: number;
  /** Lists of payments and of entries, snapshots and accounts too: not all versions have them. */
  readonly lists: boolean;
}

/** All accounts are in EUR and have some funds, but not 10^15. */
export function startMixedCalls(
  client: LedgerClient,
  accounts: readonly string[],
  { callers, restMs, lists }: MixedCallsOptions,
): MixedCalls {
  const authorized: string[] = [];
  const declined: string[] = [];
  const failed: string[] = [];
  let made = 0;
  let slowestMs = 0;
  let running = true;

  async function call<T>(name: string, answer: Promise<T>): Promise<T | undefined> {
    const began = performance.now();
    try {
      const answered = await answer;
      made += 1;
      slowestMs = Math.max(slowestMs, performance.now() - began);
      return answered;
    } catch (error) {
      const { code, details, message } = error as ServiceError;
      failed.push(`${name}: ${status[code] ?? ''} ${details ?? message}`);
      return undefined;
    } finally {
      await new Promise((resume) => setTimeout(resume, restMs));
    }
  }

  async function pay(payer: string, payee: string, amountCents: bigint): Promise<string | undefined> {
    const request = { payerAccountId: payer, payeeAccountId: payee, amountCents, currency: 'EUR' };
    const answer = await call('AuthorizePayment', client.authorize(request));
    if (answer === undefined) return undefined;
    // Not by original_status, which is younger than some versions.
    const happened = answer.error === undefined;
    if (happened !== amountCents < TOO_MUCH) {
      failed.push(`AuthorizePayment: of ${amountCents} answered ${answer.status} ${answer.error?.message}`);
    }
    (happened ? authorized : declined).push(answer.paymentId);
    return answer.paymentId;
  }

  const finished = Array.from({ length: callers }, async (_, caller) => {
    for (let turn = caller; running; turn += 1) {
      // Strides that differ, so that callers meet on accounts now and then; the first account is everybody's payee.
      const payer = accounts[1 + ((turn * (caller + 7)) % (accounts.length - 1))]!;
      const payee =
        accounts[turn % 10 === 0 ? 0 : 1 + ((turn * (caller + 7) + 1 + (turn % 5)) % (accounts.length - 1))]!;
      const paymentId = await pay(payer, payee, BigInt(1 + (turn % 100)));
      if (turn % 10 === 0) await pay(payer, payee, TOO_MUCH);
      if (paymentId !== undefined) await call('GetPayment', client.payment(paymentId));
      await call('GetAccountBalance', client.balance(payer));
      if (!lists) continue;
      await call('ListPayments', client.listPayments({ accountId: payee, pageSize: 20 }));
      await call('ListAccountEntries', client.entries(payer, { pageSize: 20 }));
      await call('GetBalanceSnapshot', client.snapshot(payee, { at: new Date().toISOString(), version: undefined }));
      await call('GetAccount', client.account(payer));
    }
  });
  return {
    authorized,
    declined,
    failed,
    get made() {
      return made;
    },
    takeSlowestMs() {
      const taken = slowestMs;
      slowestMs = 0;
      return Math.round(taken);
    },
    async untilMade(more) {
      const target = made + more;
      await until(async () => made >= target, `${more} more calls`);
    },
    async stop() {
      running = false;
      await Promise.all(finished);
    },
  };
}

const TOO_MUCH = 10n ** 15n;
