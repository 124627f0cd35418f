import { ExecutePaymentBatchResponse } from '../../../src/gen/payment/v1/payment.ts';
import { type Books, type Code, errorOf, failed, messageOf, noSuch, type Outcome, type Told } from './books.ts';
import { declineAtOnce, declineOf, mayLack, payingAccountOf, store, takeTokens } from './move-money.ts';
import { type BatchRequest, differingFields, identityOf, isLater, type MoneyRequest } from './requests.ts';

/** What the service alone can say of a batch, read off its answer. */
export interface ToldOfBatch extends Omit<Told, 'actionId' | 'batchId'> {
  readonly batchId: string;
  readonly actionIds: readonly string[];
  readonly declinedItem: number | undefined;
}

/** All of the items in their order, or, at the first that is declined, that decline alone. */
export function executeBatch(
  books: Books,
  asked: BatchRequest,
  told: ToldOfBatch,
): Outcome<ExecutePaymentBatchResponse> {
  const { idempotencyKey, items } = asked.request;
  const known = (item: MoneyRequest) => !isLater(item) || books.payments.has(item.request.paymentId);
  if (!items.every(known)) return noSuch();

  const [notStored] = items.flatMap((item, index) => declinedAs(index, declineAtOnce(item)));
  const declined = notStored ?? limitedItem(books, items, told);
  if (declined !== undefined) return { answer: answerOf({ ...declined, createdAt: told.at }) };

  const identity = identityOf(asked);
  const used = books.keys.get(idempotencyKey);
  if (used !== undefined) {
    const differing = differingFields(identity, used.identity);
    if (differing.length > 0) return failed('ALREADY_EXISTS', 'IDEMPOTENCY_KEY_REUSED', differing);
    return { answer: { ...used.batch!, payments: paymentsOf(books, used.batch!), replayed: true } };
  }

  const { batchId, at: createdAt } = told;
  const toldOf = (actionId: string): Told => ({ ...told, actionId });
  const refused = firstRefusal(books, items, told);
  const stored =
    refused === undefined
      ? items.map((item, index) => store(books, item, toldOf(told.actionIds[index] ?? ''), undefined))
      : [store(books, items[refused.declinedItem]!, toldOf(batchId), refused.code)];
  const answer = answerOf({
    batchId,
    createdAt,
    ...(refused === undefined ? { actions: stored.map(({ action }) => action) } : refused),
  });
  books.keys.set(idempotencyKey, { identity, ...stored[0]!, batch: answer });
  return { answer: { ...answer, payments: paymentsOf(books, answer) } };
}

interface Declined {
  readonly declinedItem: number;
  readonly code: Code;
}

function declinedAs(declinedItem: number, code: Code | undefined): Declined[] {
  return code === undefined ? [] : [{ declinedItem, code }];
}

/** Tries the items on a copy. */
function firstRefusal(books: Books, items: readonly MoneyRequest[], { at }: ToldOfBatch): Declined | undefined {
  const copy = structuredClone(books);
  for (const [index, item] of items.entries()) {
    const [refused] = declinedAs(index, declineOf(copy, item));
    if (refused !== undefined) return refused;
    store(copy, item, { actionId: `item ${index}`, at, rateLimited: false }, undefined);
  }
  return undefined;
}

/** Takes all tokens or none; of which account there were too few is told. */
function limitedItem(books: Books, items: readonly MoneyRequest[], told: ToldOfBatch): Declined | undefined {
  const payers = items.map((item) => payingAccountOf(books, item));
  const tokens = new Map<string, number>();
  for (const payer of payers) if (payer !== undefined) tokens.set(payer, (tokens.get(payer) ?? 0) + 1);
  const { rateLimited, declinedItem = -1 } = told;
  const lacking = payers[declinedItem];
  if (rateLimited && lacking !== undefined && mayLack(books, lacking, tokens.get(lacking)!)) {
    return { declinedItem: payers.indexOf(lacking), code: 'RATE_LIMITED' };
  }
  for (const [payer, count] of tokens) takeTokens(books, payer, count);
  return undefined;
}

function answerOf({ code, ...rest }: Partial<ExecutePaymentBatchResponse> & { readonly code?: Code }) {
  return ExecutePaymentBatchResponse.fromPartial({ ...rest, ...(code === undefined ? {} : { error: errorOf(code) }) });
}

/** As they are now. */
function paymentsOf(books: Books, { actions }: ExecutePaymentBatchResponse) {
  return actions.map(({ paymentId }) => messageOf(books.payments.get(paymentId)!));
}
