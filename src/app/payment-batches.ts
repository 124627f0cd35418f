import type { Admission } from './admission.ts';
import { checkAnswer } from './batch-answer.ts';
import { batchDigest } from './batch-digest.ts';
import {
  type ActionCommand,
  type BatchCommand,
  type CallerKey,
  type PaymentCommand,
  payingAccountOf,
} from './commands.ts';
import type { BatchedAction } from './decide-batch.ts';
import type { Outcome } from './decide-payments.ts';
import { precheck, rateLimited } from './domain/authorize.ts';
import { precheckCapture } from './domain/later-actions.ts';
import type { Action, Decline } from './domain/payment.ts';
import { precheckRefund } from './domain/refund.ts';
import { about, invalidField, notFound, perhapsCommitted } from './errors.ts';
import type { ExternalPayers } from './external-payers.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Asked, CaptureRequest, RefundRequest, VoidRequest } from './later-actions.ts';
import { type AuthorizeRequest, decidedOf, type HoldRequest, type NotStored, notStored } from './payment-service.ts';
import type { BatchRateLimiter, Ledger } from './ports.ts';

/** An item of a batch, and its field in the request. */
export type BatchItem = { readonly field: string } & (
  | { readonly request: AuthorizeRequest | HoldRequest; readonly asked?: never }
  | {
      readonly request: CaptureRequest | VoidRequest | RefundRequest;
      readonly asked: Pick<Asked, 'paymentId' | 'permit'>;
    }
);

export interface BatchRequest extends CallerKey {
  /** One at least. */
  readonly items: readonly BatchItem[];
  readonly traceparent?: string | undefined;
}

/** The batch as it was decided, the first one's if the key was used before. */
export interface DecidedBatch {
  readonly kind: 'DECIDED' | 'DUPLICATE';
  /** That of the first item, or of the one that declined the batch. */
  readonly action: Action;
  /** With their payments as they are now; none if the batch was declined. */
  readonly items: readonly BatchedAction[];
}

/** Declined by an item that needed no look at the books. */
export type BatchNotStored = NotStored & { readonly item: number };

/** Doing several things as one. */
export class PaymentBatches {
  readonly #groupCommit: Pick<GroupCommit<PaymentCommand, Outcome>, 'submit'>;
  readonly #limiter: BatchRateLimiter;
  readonly #ledger: Pick<Ledger, 'findFirstAction' | 'findBatch'>;
  readonly #lookUps: Admission;
  readonly #newId: () => string;
  readonly #externalPayers: ExternalPayers;
  readonly #maxAnswerBytes: number;

  /** newId makes ULIDs that rise. */
  constructor(
    groupCommit: Pick<GroupCommit<PaymentCommand, Outcome>, 'submit'>,
    limiter: BatchRateLimiter,
    ledger: Pick<Ledger, 'findFirstAction' | 'findBatch'>,
    lookUps: Admission,
    newId: () => string,
    externalPayers: ExternalPayers,
    maxAnswerBytes = Number.POSITIVE_INFINITY,
  ) {
    this.#groupCommit = groupCommit;
    this.#limiter = limiter;
    this.#ledger = ledger;
    this.#lookUps = lookUps;
    this.#newId = newId;
    this.#externalPayers = externalPayers;
    this.#maxAnswerBytes = maxAnswerBytes;
  }

  /**
   * Resolves when the batch is committed, or declined with nothing stored. Throws ServiceError NOT_FOUND,
   * KEY_REUSED, PERMISSION_DENIED and INVALID_REQUEST with nothing stored, what permit throws, and those of
   * GroupCommit.submit.
   */
  async execute(
    request: BatchRequest,
    { abandoned, deadlineMs }: Pick<Asked, 'abandoned' | 'deadlineMs'>,
  ): Promise<DecidedBatch | BatchNotStored> {
    const command = await this.#commandOf(request, abandoned);
    checkAnswer(command.items, this.#maxAnswerBytes);
    for (const [item, each] of command.items.entries()) {
      const decline = precheckOf(each);
      if (decline !== undefined) return { ...notStored(decline), item };
    }
    for (const each of command.items) {
      if (each.kind === 'VOID') continue;
      const { mayPayFromExternal } = each;
      this.#externalPayers.check({ payerAccountId: payingAccountOf(each), mayPayFromExternal });
    }
    const limited = await this.#takeTokens(command.items);
    if (limited !== undefined) return limited;

    const submitted = this.#groupCommit.submit(command, abandoned, deadlineMs);
    const { kind, action, items } = decidedOf(await this.#externalPayers.learn(submitted));
    if (action.verdict.status === 'DECLINED') return { kind, action, items: [] };
    return { kind, action, items: items ?? (await this.#find(kind, action.actionId, abandoned)) };
  }

  /** Ids are given once: a batch that is run again is recognized by its own. Those of expiries are the lower ones. */
  async #commandOf({ items, traceparent, ...key }: BatchRequest, abandoned: () => boolean): Promise<BatchCommand> {
    const payments = await this.#findPayments(items, abandoned);
    const expiryIds = items.map(() => this.#newId());
    const commands = items.map(({ request }, item): ActionCommand => {
      const payment = payments[item];
      const ids = { actionId: this.#newId(), ...(payment && { payment, expiryId: expiryIds[item] }) };
      return { ...request, ...ids } as ActionCommand;
    });
    const batchId = commands[0]!.actionId;
    const digest = batchDigest(commands);
    const whole = { digest, actionIds: commands.map(({ actionId }) => actionId) };
    const batched = commands.map((command, item) => ({
      ...command,
      batch: { batchId, item, whole: item === 0 ? whole : undefined },
    }));
    return { ...key, kind: 'BATCH', actionId: batchId, items: batched, digest, traceparent };
  }

  /** Of each item that is on one. */
  async #findPayments(items: readonly BatchItem[], abandoned: () => boolean) {
    if (items.every(({ asked }) => asked === undefined)) return [];
    const payments = await this.#lookUps.run(
      () => Promise.all(items.map(({ asked }) => asked && this.#ledger.findFirstAction(asked.paymentId))),
      abandoned,
    );
    for (const [index, { field, asked }] of items.entries()) {
      if (asked === undefined) continue;
      about(field, () => {
        const payment = payments[index];
        if (payment === undefined) throw notFound('Payment', asked.paymentId);
        asked.permit(payment);
      });
    }
    return payments;
  }

  /** One for each item that would take one alone, all or none. */
  async #takeTokens(items: readonly ActionCommand[]): Promise<BatchNotStored | undefined> {
    const payers = items.map((item) =>
      item.kind === 'CAPTURE' || item.kind === 'VOID' ? undefined : payingAccountOf(item),
    );
    const tokens = new Map<string, number>();
    for (const payer of payers) if (payer !== undefined) tokens.set(payer, (tokens.get(payer) ?? 0) + 1);
    const shortage = await this.#limiter.takeAll(tokens);
    if (shortage === undefined) return undefined;

    const { accountId, retryAfterMs } = shortage;
    // Nobody would ever get so many.
    if (retryAfterMs === Number.POSITIVE_INFINITY) {
      const count = tokens.get(accountId)!;
      throw invalidField('items', `take ${count} tokens of account ${accountId}, more than its rate limit ever has`);
    }
    const decline = rateLimited({ payerAccountId: accountId }, retryAfterMs);
    return { ...notStored(decline, retryAfterMs), item: payers.indexOf(accountId) };
  }

  #find(kind: DecidedBatch['kind'], batchId: string, abandoned: () => boolean): Promise<readonly BatchedAction[]> {
    const find = () => this.#ledger.findBatch(batchId);
    // Committed for this call, though the connection was lost: to turn it away now would say that nothing was stored.
    if (kind === 'DUPLICATE') return this.#lookUps.run(find, abandoned);
    return find().catch((error) => {
      throw perhapsCommitted(error);
    });
  }
}

function precheckOf(item: ActionCommand): Decline | undefined {
  switch (item.kind) {
    case 'PAYMENT':
    case 'HOLD':
      return precheck(item);
    case 'CAPTURE':
      return precheckCapture(item);
    case 'REFUND':
      return precheckRefund(item);
    case 'VOID':
      return undefined;
  }
}
