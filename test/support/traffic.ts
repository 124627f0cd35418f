import { type ServiceError, status } from '@grpc/grpc-js';
import { type AuthorizePaymentResponse, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';

/** What a caller asked for, to be asked again word for word. */
export interface Asked {
  readonly idempotencyKey: string;
  readonly payerAccountId: string;
  readonly payeeAccountId: string;
  readonly amountCents: bigint;
}

export interface Paid extends Asked {
  readonly paymentId: string;
}

export interface Failed extends Asked {
  readonly error: ServiceError;
}

/** Callers that pay without pause, each payment with a key of its own. */
export interface Traffic {
  /** Answered AUTHORIZED, or DUPLICATE of a payment that was. */
  readonly paid: readonly Paid[];
  readonly failed: readonly Failed[];
  /** Resolves when so many more have been paid. */
  untilPaid(more: number): Promise<void>;
  stop(): Promise<void>;
}

const PAUSE_AFTER_FAILURE_MS = 20;

/** The clients take turns; accounts are payers and payees alike. */
export function startTraffic(clients: readonly LedgerClient[], accounts: readonly string[], callers = 8): Traffic {
  const paid: Paid[] = [];
  const failed: Failed[] = [];
  let running = true;
  const finished = Array.from({ length: callers }, async (_, caller) => {
    for (let i = caller; running; i += 1) {
      const asked = {
        idempotencyKey: crypto.randomUUID(),
        payerAccountId: accounts[i % accounts.length]!,
        payeeAccountId: accounts[(i + 1 + (caller % (accounts.length - 1))) % accounts.length]!,
        amountCents: 1n,
      };
      try {
        const answer = await clients[i % clients.length]!.authorize(asked, 15_000);
        paid.push({ ...asked, paymentId: authorizedId(answer) });
      } catch (error) {
        failed.push({ ...asked, error: error as ServiceError });
        await pause(PAUSE_AFTER_FAILURE_MS);
      }
    }
  });
  return {
    paid,
    failed,
    async untilPaid(more) {
      const target = paid.length + more;
      await until(async () => paid.length >= target, `${more} more payments`);
    },
    async stop() {
      running = false;
      await Promise.all(finished);
    },
  };
}

/** What the failures say, each kind once: the name of the status and its text. */
export function failureKinds(failed: readonly Failed[]): string[] {
  return [...new Set(failed.map(({ error }) => `${status[error.code]} ${error.details}`))];
}

/** The id of a payment that is authorized; throws if it is not. */
export function authorizedId(answer: AuthorizePaymentResponse): string {
  const outcome = answer.status === PaymentStatus.PAYMENT_STATUS_DUPLICATE ? answer.originalStatus : answer.status;
  if (outcome !== PaymentStatus.PAYMENT_STATUS_AUTHORIZED) {
    throw Object.assign(new Error(`not authorized: ${answer.error?.message}`), {
      code: status.UNKNOWN,
      details: `not authorized: ${answer.error?.message}`,
    });
  }
  return answer.paymentId;
}

/** Waits for a state, however slow the machine is. */
export async function until(condition: () => Promise<boolean>, what: string, timeoutMs = 120_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs / 1_000} s: ${what}`);
    await pause(50);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms));
}
